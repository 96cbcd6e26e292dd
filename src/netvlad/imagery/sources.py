"""The services of street imagery by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netvlad.errors import NetvladError
from netvlad.imagery.commons import Commons
from netvlad.imagery.kartaview import KartaView
from netvlad.imagery.mapillary import Mapillary
from netvlad.imagery.panoramax import Panoramax
from netvlad.imagery.reader import Reader
from netvlad.imagery.web import Web

SOURCES: Mapping[str, type[Reader]] = {reader.name: reader for reader in (Panoramax, Mapillary, KartaView, Commons)}
REFUSED = {
    "google": "the terms of Google Street View forbid to store its pictures and to build an index of them",
}
REFUSED["streetview"] = REFUSED["google"]


def open_source(name: str, url: str | None = None, *, pause: float = 1.0, **options: Any) -> Reader:
    """The reader of a service. url: of another instance than the usual one. pause: as in `Web`.

    Raises NetvladError for a service that is not known, or refused, with the reason.
    """
    if name in REFUSED:
        raise NetvladError(f"{name}: {REFUSED[name]}; --from {' or '.join(SOURCES)} allow it")
    if name not in SOURCES:
        raise NetvladError(f"no source is called {name!r}; choose one of {', '.join(SOURCES)}")
    reader = SOURCES[name]
    service = url or reader.url
    return reader(Web(service, pause=pause, headers=reader.headers(service)), **options)
