"""A map that follows a table in pieces: of neither is more in memory than a piece and its rows.

Beside these there are 16 bytes for each content of the map, and 8 for each path of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from netvlad.describe.stream import Contents, Describing
from netvlad.maps.store import Store
from netvlad.maps.survey import Survey, below, closed_folders, rows_from, survey_of, survey_of_piece
from netvlad.maps.sync import Synced, carry_out, check_going, findings
from netvlad.places import Places
from netvlad.types import Array, Describer, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

NEVER = -1  # no hash of Python is that
Told: TypeAlias = Callable[[Synced], None]


def follow_pieces(
    store: Store,
    model: Describer,
    pieces: Iterable[Places],
    source: str,
    *,
    keep_missing: bool,
    workers: int | None,
    describing: Describing | None,
    removing: Callable[[], None],
    told: Told,
) -> None:
    """Do what `agree` does with all pieces as one table; see `PlaceIndex.sync_parts`.

    removing: called before rows go or are rewritten. told: given what was done with each piece, and in the end what was
    done with photos that have moved and with those that are in no piece.
    """
    version, known, seen = store.version, Contents(store.digests()), Seen(store, source)
    places, contents, comes = [Places.concat([])], list[bytes](), False
    for piece in pieces:
        survey = seen.survey(piece)
        if survey.rewrites:
            removing()
        found, fresh = carry_out(survey, model, keep_missing=True, workers=workers, describing=describing, known=known)
        copies = [photo for photo, digest in fresh.copies.items() if digest not in fresh.owners]
        places.append(survey.places[copies])
        contents += [fresh.copies[photo] for photo in copies]
        comes |= bool(fresh.photos)
        found.vanished = []  # in the end
        told(found)

    going, all_of = seen.others()
    if not keep_missing:
        check_going(store, len(going), all_of, len(going) < all_of or comes, source, version)
    moved = _to_settle(store, Places.concat(places), contents, going)
    if len(going) or len(moved):
        survey = survey_of(store, moved, source=source, scoped=True, rows=going)
        if survey.rewrites or not keep_missing:
            removing()
        told(carry_out(survey, model, keep_missing=keep_missing, workers=workers, describing=describing)[0])


def preview_pieces(store: Store, pieces: Iterable[Places], source: str, told: Told) -> None:
    """What `follow_pieces` would do, as far as it can be told without reading photos: one that moved goes and comes."""
    seen = Seen(store, source)
    for piece in pieces:
        found = findings(seen.survey(piece))
        found.vanished = []
        told(found)
    going = store.held(["path"], rows=seen.others()[0])
    if going.num_rows:
        told(Synced(vanished=store.root.opened(going.column("path")).to_pylist()))


class Seen:
    """The photos of pieces that are there, by hashes of their paths, and folders that nobody could look into."""

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source
        self._hashes, self._closed = [np.array([NEVER])], set[str]()

    def survey(self, piece: Places) -> Survey:
        """The survey of the next piece."""
        survey = survey_of_piece(self._store, piece, self._source)
        there = survey.places.path[~survey.plan.missing]
        self._hashes.append(_hashes(self._store.root.stored_objects(there).tolist()))
        self._closed |= closed_folders(piece)
        return survey

    def others(self) -> tuple[IntArray, int]:
        """The rows from the source whose photos are not among these, and how many rows are from there."""
        seen, from_there = np.unique(np.concatenate(self._hashes)), 0

        def test(block: pa.Table) -> pa.Array:
            import pyarrow as pa

            nonlocal from_there
            ours = rows_from(self._store, block, self._source) & ~below(self._store, block, self._closed)
            from_there += int(ours.sum())
            hashes = _hashes(block.column("path").to_pylist())
            return pa.array(ours & (seen.take(np.searchsorted(seen, hashes), mode="clip") != hashes))

        columns = ["path", "source"] if self._store.has_sources else ["path"]
        return self._store.rows_where(columns, test), from_there


def _hashes(paths: list[str]) -> Array:
    return np.fromiter(map(hash, paths), np.int64, len(paths))


def _to_settle(store: Store, places: Places, contents: list[bytes], going: IntArray) -> Places:
    """Of photos that were left out for their contents, one for each that goes, or that is in the map no more."""
    if not len(places):
        return places
    staying = store.held(["digest"], rows=np.setdiff1d(store.rows_with(set(contents)), going)).column("digest")
    first: dict[bytes, int] = {}
    for photo, content in enumerate(contents):
        first.setdefault(content, photo)
    for content in staying.to_pylist():
        first.pop(content, None)
    return places[list(first.values())]
