"""What has to happen to the rows of a map so that it agrees with places: compared in arrays, nothing is written.

A photo is told by the content of its file, and by its path while size and time of change say that the file is the one
that was described. Photos and rows are named by their indices here: photos of the given places, rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.maps.stamps import ABSENT
from netvlad.places.table import COLUMNS
from netvlad.types import Array, BoolArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

# larger differences are changes: a millimetre, and what float32 resolves of a heading
DEGREES, METRES, TURN = 1e-8, 1e-3, 1e-3


@dataclass(frozen=True)
class Plan:
    """What becomes of n photos and m rows.

    rows (n,): the row with the content of each photo, -1 for none. old (n,): the row at its path, -1 for none.
    fresh (n,) bool: photos to describe. replaces (n,) bool: those whose old row goes as soon as they are described.
    duplicate (n,) bool: photos whose content stands in `rows` under another path that still has it. missing (n,) bool:
    photos without a file whose row goes. position, heading, time, label (n,) bool: what differs of a known photo.
    moved (n,) bool: its path does. stamp (n,) bool: size, time of change or the form of its path do.
    vanished (m,) bool: rows that go since no photo is theirs. stale (m,) bool: rows that go since their path has other
    content.
    """

    rows: IntArray
    old: IntArray
    fresh: BoolArray
    replaces: BoolArray
    duplicate: BoolArray
    missing: BoolArray
    position: BoolArray
    heading: BoolArray
    time: BoolArray
    label: BoolArray
    moved: BoolArray
    stamp: BoolArray
    vanished: BoolArray
    stale: BoolArray

    @property
    def changed(self) -> BoolArray:
        """Photos (n,) whose row is written anew."""
        changed: BoolArray = self.position | self.heading | self.time | self.label | self.moved | self.stamp
        return changed


def compare(
    held: pa.Table,
    wanted: pa.Table,
    stamps: tuple[Array, Array],
    scope: BoolArray,
    digests: Callable[[Array], list[bytes]],
    absent: Callable[[Array], BoolArray],
    *,
    elsewhere: bool = True,
) -> Plan:
    """Compare the rows `held` (m) with the photos `wanted` (n), whose paths are distinct and stored alike.

    stamps: sizes and times of change of the photos' files. scope (m,) bool: rows that go if no photo is theirs.
    digests: of the files of some photos, empty where one cannot be read. absent: whether the files of some rows are
    gone. elsewhere: whether photos at paths without a row are compared by their content.
    """
    size, mtime = stamps
    n, m = wanted.num_rows, held.num_rows
    paths, held_paths = wanted.column("path"), held.column("path")
    old = index_in(paths, held_paths)
    held_size, held_mtime = (held.column(name).to_numpy() for name in ("size", "mtime_ns"))
    there = size >= 0
    rows = np.full(n, -1, np.int64)
    same = (old >= 0) & there
    same[same] = (held_size[old[same]] == size[same]) & (held_mtime[old[same]] == mtime[same])
    rows[same] = old[same]

    looked = (elsewhere | (old >= 0)) & ~same & there & np.isin(size, held_size)  # others have the content of no row
    look = np.flatnonzero(looked)
    found = _column(digests(look))
    at_path = old[look] >= 0
    at_path[at_path] = _equal(found.filter(_mask(at_path)), held.column("digest").take(old[look][at_path]))
    rows[look[at_path]] = old[look[at_path]]

    owner = _owners(old, held_paths, paths)
    taken = np.zeros(m, bool)
    taken[rows[rows >= 0]] = True
    like = index_in(found, held.column("digest")) if len(look) else np.zeros(0, np.int64)
    rest = np.flatnonzero((like >= 0) & ~at_path)
    photos, theirs = look[rest], like[rest]
    free = ~taken[theirs] & ((owner[theirs] >= 0) | scope[theirs])
    gone = np.flatnonzero(~free & ~taken[theirs])
    free[gone] = absent(theirs[gone])
    first = np.zeros(len(rest), bool)
    first[np.unique(theirs, return_index=True)[1]] = True
    rows[photos] = theirs
    duplicate = np.zeros(n, bool)
    duplicate[photos[~(free & first)]] = True
    taken[theirs[free]] = True

    known = (rows >= 0) & ~duplicate
    missing = (size == ABSENT) & (old >= 0) & ~known
    missing[missing] = scope[old[missing]] & ~taken[old[missing]]
    fresh = (rows < 0) & ~missing
    replaces = fresh & (old >= 0)
    replaces[replaces] = ~taken[old[replaces]]
    at_owner = owner >= 0
    waits = np.zeros(m, bool)  # rows that stay until their photo is described, or go with the missing ones
    mine = np.flatnonzero(at_owner)
    waits[mine] = (fresh | missing)[owner[mine]] & (old[owner[mine]] == mine)
    stamp = known & ~same
    stamp[known] |= held.column("absolute").to_numpy()[rows[known]]
    lost = np.zeros(m, bool)
    lost[old[missing]] = True
    return Plan(
        rows=rows,
        old=old,
        fresh=fresh,
        replaces=replaces,
        duplicate=duplicate,
        missing=missing,
        **_differences(held, wanted, rows, known),
        moved=known & (rows != old),
        stamp=stamp,
        vanished=(~taken & ~at_owner & scope) | lost,
        stale=~taken & at_owner & ~waits,
    )


def _owners(old: IntArray, held_paths: Any, paths: Any) -> IntArray:
    """The photo at the path of each row, -1 for none: the inverse of `old`, but where rows share a path."""
    owner = np.full(len(held_paths), -1, np.int64)
    photos = np.flatnonzero(old >= 0)
    owner[old[photos]] = photos
    rest = np.flatnonzero(owner < 0)
    if len(rest):
        owner[rest] = index_in(held_paths.take(rest), paths)
    return owner


def _differences(held: pa.Table, wanted: pa.Table, rows: IntArray, known: BoolArray) -> dict[str, BoolArray]:
    """Which of the `known` photos have another position, heading, time or label than their row."""
    photos = np.flatnonzero(known)
    was, now = held.take(rows[photos]), wanted.take(photos)

    def differs(test: Callable[[Any, Any], BoolArray], *names: str) -> BoolArray:
        out = np.zeros(len(known), bool)
        for name in names:
            if name in was.column_names:
                out[photos] |= test(was.column(name), now.column(name))
        return out

    def beyond(step: float) -> Callable[[Any, Any], BoolArray]:
        def test(a: Any, b: Any) -> BoolArray:
            one, other = a.to_numpy(), b.to_numpy()
            off: BoolArray = ~((np.abs(one - other) <= step) | (np.isnan(one) & np.isnan(other)))
            return off

        return test

    def unequal(a: Any, b: Any) -> BoolArray:
        return ~_equal(a, b)

    return {
        "position": differs(beyond(DEGREES), "lat", "lon")
        | differs(beyond(METRES), "easting", "northing")
        | differs(unequal, "utm"),
        "heading": differs(beyond(TURN), "heading"),
        "time": differs(unequal, "time", "is_utc"),
        "label": differs(unequal, *(name for name, kind in COLUMNS.items() if kind is object and name != "path")),
    }


def index_in(values: Any, among: Any) -> IntArray:
    """Where each of `values` first stands `among` others, int64, -1 for nowhere and for a null."""
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=among, skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False)).astype(np.int64)


def _equal(a: Any, b: Any) -> BoolArray:
    """Whether values are equal; a null equals a null alone."""
    import pyarrow.compute as pc

    both = pc.and_(pc.is_null(a), pc.is_null(b))
    same = pc.or_(both, pc.fill_null(pc.equal(a, b), False))
    return np.asarray(same.to_numpy(zero_copy_only=False), bool)


def _mask(mask: BoolArray) -> pa.Array:
    import pyarrow as pa

    return pa.array(mask)


def _column(digests: list[bytes]) -> pa.Array:
    import pyarrow as pa

    return pa.array([digest or None for digest in digests], pa.binary(16))
