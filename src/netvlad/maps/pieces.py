"""A map that follows a table in pieces: of neither is more in memory than a piece and its rows.

Beside these there are 16 bytes for each content of the map, and 8 for each path of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from netvlad.describe.stream import Contents, Describing
from netvlad.maps.store import Store
from netvlad.maps.survey import below, closed_folders, rows_from, survey_of, survey_of_piece
from netvlad.maps.sync import Synced, carry_out, check_going, findings
from netvlad.places import Places
from netvlad.types import Array, Describer, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

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
    version, known = store.version, Contents(store.digests())
    seen, places, contents = [np.zeros(0, np.int64)], [Places.concat([])], list[bytes]()
    comes, closed = False, set[str]()
    for piece in pieces:
        closed |= closed_folders(piece)
        survey = survey_of_piece(store, piece, source)
        if survey.rewrites:
            removing()
        found, fresh = carry_out(survey, model, keep_missing=True, workers=workers, describing=describing, known=known)
        copies = [photo for photo, digest in fresh.copies.items() if digest not in fresh.owners]
        places.append(survey.places[copies])
        contents += [fresh.copies[photo] for photo in copies]
        seen.append(_hashes(store, survey.places.path[~survey.plan.missing]))
        comes |= bool(fresh.photos)
        found.vanished = []  # in the end
        told(found)

    going, all_of = _unseen(store, source, seen, closed)
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
    seen, closed = [np.zeros(0, np.int64)], set[str]()
    for piece in pieces:
        closed |= closed_folders(piece)
        survey = survey_of_piece(store, piece, source)
        seen.append(_hashes(store, survey.places.path[~survey.plan.missing]))
        found = findings(survey)
        found.vanished = []
        told(found)
    going = store.held(["path"], rows=_unseen(store, source, seen, closed)[0])
    if going.num_rows:
        told(Synced(vanished=store.root.opened(going.column("path")).to_pylist()))


def _hashes(store: Store, paths: Array) -> Array:
    return _of_stored(store.root.stored_objects(paths).tolist())


def _of_stored(paths: list[str]) -> Array:
    return np.fromiter(map(hash, paths), np.int64, len(paths))


def _unseen(store: Store, source: str, seen: list[Array], closed: set[str]) -> tuple[IntArray, int]:
    """The rows from `source` whose paths, by their hashes, were not seen, and how many rows are from there.

    closed: folders whose photos cannot be seen.
    """
    all_seen = np.unique(np.concatenate(seen))
    from_there = 0

    def test(block: pa.Table) -> pa.Array:
        import pyarrow as pa

        nonlocal from_there
        ours = rows_from(store, block, source) & ~below(store, block, closed)
        from_there += int(ours.sum())
        hashes = _of_stored(block.column("path").to_pylist())
        at = np.searchsorted(all_seen, hashes)
        here = np.append(all_seen, 0)[at] == hashes if len(all_seen) else np.zeros(len(hashes), bool)
        return pa.array(ours & ~(here & (at < len(all_seen))))

    columns = ["path", "source"] if store.has_sources else ["path"]
    return store.rows_where(columns, test), from_there


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
