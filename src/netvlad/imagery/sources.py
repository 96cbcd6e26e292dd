"""The services of street imagery by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netvlad.errors import NetvladError
from netvlad.imagery import panoramax
from netvlad.imagery.fetching import Source
from netvlad.imagery.web import Web

SOURCES: Mapping[str, tuple[str, Callable[..., Source]]] = {
    "panoramax": (panoramax.URL, panoramax.Panoramax),
}
REFUSED = {
    "google": "the terms of Google Street View forbid to store its pictures and to build an index of them",
}
REFUSED["streetview"] = REFUSED["google"]


def open_source(name: str, url: str | None = None, *, pause: float = 1.0, **options: Any) -> Source:
    """The reader of a service. url: of another instance than the usual one. pause: as in `Web`.

    Raises NetvladError for a service that is not known, or refused, with the reason.
    """
    if name in REFUSED:
        raise NetvladError(f"{name}: {REFUSED[name]}; --from {' or '.join(SOURCES)} allow it")
    if name not in SOURCES:
        raise NetvladError(f"no source is called {name!r}; choose one of {', '.join(SOURCES)}")
    usual, reader = SOURCES[name]
    return reader(Web(url or usual, pause=pause), **options)
