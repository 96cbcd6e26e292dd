"""A table and places, compared by what their photos are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.images.decode import photo_digest
from netvlad.maps.plan import Plan, compare, index_in
from netvlad.maps.rows import place_columns
from netvlad.maps.stamps import ABSENT, FileStamp, stamps_of
from netvlad.maps.store import Store
from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.runtime.addresses import is_address
from netvlad.runtime.progress import progress
from netvlad.types import Array, BoolArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

READERS = 8  # threads that read files to know their content


@dataclass(frozen=True)
class Survey:
    """The distinct `places` with `stamps` of their files, the rows that are `held`, and the `plan` for them.

    numbers (m,): those of the rows in the table, None where all of them are held. scope (m,) bool: rows that go if no
    photo is theirs. source: where the places came from, as it is stored. repeated: number of places that were named
    twice. misnamed: paths that no table can hold -> reason.
    """

    store: Store
    places: Places
    stamps: tuple[Array, Array]
    held: pa.Table
    numbers: IntArray | None
    plan: Plan
    scope: BoolArray
    source: str
    repeated: int
    misnamed: dict[str, str]

    @property
    def removes(self) -> bool:
        """Whether rows may go or be rewritten."""
        return self.rewrites or bool(self.plan.vanished.any())

    @property
    def rewrites(self) -> bool:
        """Whether rows may go or be rewritten, though none goes for want of a photo."""
        return bool(np.concatenate([self.plan.changed, self.plan.replaces, self.plan.stale]).any())

    def row_paths(self, rows: Array) -> list[str]:
        """The absolute paths of rows."""
        found: list[str] = self.store.root.opened(self.held.column("path").take(rows)).to_pylist()
        return found

    def row_ids(self, rows: Array) -> Array:
        """The ids of rows."""
        found: Array = self.held.column("_rowid").to_numpy()[rows]
        return found

    def rows_of_table(self, rows: IntArray) -> IntArray:
        """The rows of the table that held rows are."""
        return rows if self.numbers is None else self.numbers[rows]

    def stamps_at(self, photos: Sequence[int]) -> list[FileStamp]:
        """The stamps of some photos."""
        return [FileStamp(int(self.stamps[0][photo]), int(self.stamps[1][photo])) for photo in photos]


def survey_of(
    store: Store,
    places: Places,
    *,
    source: str = "",
    scoped: bool = False,
    files: bool = True,
    rows: IntArray | None = None,
) -> Survey:
    """Compare the table with `places` and the files of their photos; only what may be known is read.

    scoped: whether rows from `source` go if no photo is theirs. files: False looks at no file, and takes photos for
    those that were described. rows: those of the table that are compared, all by default. Raises PlaceIndexError where
    some positions are geodetic and others planar.
    """
    held = store.held(rows=rows)
    check_kind(store, held, places)
    hidden = below(store, held, closed_folders(places))
    places, wanted, repeated, misnamed = _distinct(store, places)
    stamps = stamps_of(places.path, len(places)) if files else _held_stamps(held, wanted)
    scope = rows_from(store, held, source) & ~hidden if scoped else np.zeros(held.num_rows, bool)
    plan = _compared(store, held, places, wanted, stamps, scope)
    source = store.root.stored_one(source) if source else ""
    return Survey(store, places, stamps, held, rows, plan, scope, source, repeated, misnamed)


def survey_of_piece(store: Store, places: Places, source: str) -> Survey:
    """As `survey_of` a piece of the table at `source`, with the rows at the paths of its photos alone in memory.

    So photos that have moved, and copies of others, are fresh here: what describes them has to compare their contents.
    """
    check_kind(store, _some_located(store), places)
    places, wanted, repeated, misnamed = _distinct(store, places)
    rows = _rows_at(store, wanted.column("path").combine_chunks())
    held = store.held(rows=rows)
    stamps = stamps_of(places.path, len(places))
    scope = rows_from(store, held, source)
    plan = _compared(store, held, places, wanted, stamps, scope, elsewhere=False)
    source = store.root.stored_one(source) if source else ""
    return Survey(store, places, stamps, held, rows, plan, scope, source, repeated, misnamed)


def _distinct(store: Store, places: Places) -> tuple[Places, pa.Table, int, dict[str, str]]:
    """Places of distinct paths, also as `places_table`; how many were named twice; paths that no table can hold."""
    import pyarrow.compute as pc

    places, misnamed = in_text(places)
    wanted = places_table(store, places)
    repeated = len(places) - pc.count_distinct(wanted.column("path")).as_py()
    if repeated:
        first = np.flatnonzero(index_in(wanted.column("path"), wanted.column("path")) == np.arange(len(places)))
        places, wanted = places[first], wanted.take(first)
    return places, wanted, repeated, misnamed


def _compared(
    store: Store,
    held: pa.Table,
    places: Places,
    wanted: pa.Table,
    stamps: tuple[Array, Array],
    scope: BoolArray,
    *,
    elsewhere: bool = True,
) -> Plan:
    def digests(photos: Array) -> list[bytes]:
        return _digests(places.path[photos].tolist())

    def absent(rows: Array) -> BoolArray:
        paths = store.root.opened(held.column("path").take(rows)).to_pylist()
        return np.asarray(stamps_of(paths, len(paths))[0] == ABSENT)

    return compare(held, wanted, stamps, scope, digests, absent, elsewhere=elsewhere)


def _some_located(store: Store) -> pa.Table:
    """Positions of some rows, among them one that has a position, if any has."""
    for _, block in store.blocks(["lat", "easting"]):
        if np.isfinite(block.column("easting").to_numpy()).any():
            return block
    return store.held(["lat", "easting"], rows=np.zeros(0, np.int64))


def places_table(store: Store, places: Places) -> pa.Table:
    """Places as a table with the columns of `Store.held`, their paths as the store has them."""
    import pyarrow as pa

    columns = place_columns(places, list(COLUMNS))
    columns["path"] = store.root.stored(columns["path"])
    return pa.table(columns)


def rows_at(store: Store, paths: list[str]) -> IntArray:
    """The rows with these absolute paths."""
    import pyarrow as pa

    return _rows_at(store, store.root.stored(pa.array(paths, pa.string())))


def _rows_at(store: Store, stored: pa.Array) -> IntArray:
    """The rows with these paths, as the store has them."""
    import pyarrow.compute as pc

    return store.rows_where(["path"], lambda block: pc.is_in(block.column("path"), value_set=stored))


def _held_stamps(held: pa.Table, wanted: pa.Table) -> tuple[Array, Array]:
    """The stamps that the table has of the wanted photos, ABSENT where it does not hold them."""
    rows = index_in(wanted.column("path"), held.column("path"))
    sizes, times = (np.append(held.column(name).to_numpy(), ABSENT) for name in ("size", "mtime_ns"))
    return sizes[rows], times[rows]


def rows_from(store: Store, held: pa.Table, source: str) -> BoolArray:
    """The rows, `held` with path and source, that came from a folder or table, and those of unknown source below it.

    For "" all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not source:
        return np.ones(held.num_rows, bool)
    slash = "/" if is_address(source) else os.sep
    below = pc.starts_with(store.root.opened(held.column("path")), source.rstrip(slash) + slash)
    if not store.has_sources:
        return np.asarray(below.to_numpy(), bool)
    known = held.column("source")
    ours = pc.is_in(known, value_set=pa.array([source, store.root.stored_one(source)]))
    found: BoolArray = pc.or_(ours, pc.and_(pc.equal(known, ""), below)).to_numpy()
    return found


def closed_folders(places: Places) -> set[str]:
    """Folders that the places' reader could not look into: nobody knows whether their photos are gone."""
    return {skipped.source for skipped in places.skipped if not skipped.line and os.path.isdir(skipped.source)}


def below(store: Store, held: pa.Table, folders: set[str]) -> BoolArray:
    """The rows whose photos are in or below some folders."""
    import pyarrow.compute as pc

    found = np.zeros(held.num_rows, bool)
    paths = store.root.opened(held.column("path")) if folders else None
    for folder in folders:
        found |= pc.starts_with(paths, folder.rstrip(os.sep) + os.sep).to_numpy()
    return found


def check_kind(store: Store, held: pa.Table, places: Places) -> None:
    """Raise PlaceIndexError where the table holds geodetic positions and the places planar ones, or the reverse."""
    located = np.isfinite(held.column("easting").to_numpy())
    if not located.any() or not places.located.any():
        return
    geodetic = bool(np.isfinite(held.column("lat").to_numpy()[located]).all())
    if geodetic != places.geodetic:
        kinds = ("lat/lon", "easting/northing without a zone")
        raise PlaceIndexError(
            f"holds places with {kinds[not geodetic]}, these have {kinds[geodetic]}: there is no distance between "
            "the two",
            path=store.folder,
        )


def in_text(places: Places) -> tuple[Places, dict[str, str]]:
    """The places whose path is text, and the other paths -> reason."""
    import pyarrow as pa

    try:
        pa.array(places.path, pa.string())
        return places, {}
    except (UnicodeEncodeError, pa.ArrowException):
        good = np.array([_is_text(path) for path in places.path], bool)
    reason = "its name is not UTF-8 text, so no table can hold it: rename it"
    return places[good], {path: reason for path in places.path[~good]}


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Python carries as surrogates
        return False
    return True


def _digests(paths: list[str]) -> list[bytes]:
    """The digests of files, empty where one cannot be read."""
    found: list[bytes] = []
    if paths:
        with ThreadPoolExecutor(READERS) as pool, progress("comparing photos", len(paths)) as advance:
            for digest in pool.map(photo_digest, paths):
                found.append(digest)
                advance(1)
    return found
