"""Adding photos to an index: described in chunks and appended in batches, so that it goes on where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.maps.store import FileStamp, Store
from netvlad.places import Places
from netvlad.runtime.progress import progress
from netvlad.types import Describer

if TYPE_CHECKING:
    from netvlad.describe.stream import Described

SECONDS = 10.0  # work that is lost at most when an `add` is killed


@dataclass
class Added:
    """Number of `new` photos, number of photos `known` already, and unreadable path -> reason.

    replaced: paths whose photo had changed, so that its row gave way to a new one.
    """

    new: int = 0
    known: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)


def append(store: Store, model: Describer, places: Places, *, workers: int | None = None) -> Added:
    """Describe `places` with `model` and append them to `store` in batches; see `PlaceIndex.add`."""
    from netvlad.describe.stream import describe_photos

    if len(store) and len(places):
        geodetic = store.places(np.array([0])).geodetic
        if geodetic != places.geodetic:
            kinds = ("lat/lon", "easting/northing without a zone")
            raise PlaceIndexError(
                f"holds places with {kinds[not geodetic]}, these have {kinds[geodetic]}: there is no distance between "
                "the two",
                path=store.folder,
            )
    stamps, known = store.seen()
    now = [FileStamp.of(path) for path in places.path]
    todo = [i for i, path in enumerate(places.path) if stamps.get(path) != now[i]]
    result = Added(known=len(places) - len(todo))
    for i in {i for i in todo if not _is_text(places.path[i])}:
        result.unreadable[places.path[i]] = "its name is not UTF-8 text, so no table can hold it: rename it"
        todo.remove(i)
    waiting: list[Described] = []

    def flush() -> None:
        if not waiting:
            return
        rows = [row for chunk in waiting for row in chunk.rows]
        digests = [digest for chunk in waiting for digest in chunk.digests]
        vectors = np.concatenate([chunk.vectors for chunk in waiting])
        waiting.clear()  # first: on Ctrl-C within `append` they may be in, and must not be added again below
        store.append(places[rows], [now[row] for row in rows], digests, vectors)
        result.new += len(rows)

    last = time.monotonic()
    try:
        with progress("indexing", len(todo)) as advance:
            for chunk in describe_photos(model, places.path.tolist(), rows=todo, known=known, workers=workers):
                result.known += len(chunk.known)
                result.unreadable |= {places.path[row]: reason for row, reason in chunk.unreadable.items()}
                if chunk.rows:
                    waiting.append(chunk)
                advance(len(chunk.rows) + len(chunk.known) + len(chunk.unreadable))
                if time.monotonic() - last > SECONDS:
                    flush()
                    last = time.monotonic()
    finally:  # also on Ctrl-C: what is described is kept
        flush()
    return result


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Python carries as surrogates
        return False
    return True
