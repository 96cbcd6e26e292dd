"""Distances between places in metres, and which places are near which.

Distances are measured on the WGS 84 ellipsoid, not on a map projection: they have no seams at borders of UTM zones or
at the antimeridian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

EARTH_RADIUS = 6_371_008.8  # metres, mean of WGS 84; turns chords into arcs
_PAIRS_AT_ONCE = 4_000_000  # sorting a chunk of these takes about 0.3 GB


def _arc(chord: Array, bent: bool) -> Array:
    """Arc lengths in metres of chords; `bent` is False for planar coordinates, which need no correction."""
    return 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / (2 * EARTH_RADIUS), 1)) if bent else chord


def _chord(radius: float, bent: bool) -> float:
    if not radius >= 0:
        raise PlacesError(f"the radius must be 0 m or more, got {radius}")
    if not bent:
        return float(radius)
    half_turn = np.pi * EARTH_RADIUS
    return 2 * EARTH_RADIUS * np.sin(radius / (2 * EARTH_RADIUS)) if radius < half_turn else np.inf


def _same_frame(a: Places, b: Places) -> None:
    if a.located.any() and b.located.any() and a.geodetic != b.geodetic:
        raise PlacesError(
            "one table has latitude and longitude, the other only easting and northing without a UTM zone: "
            "no distance runs between them; give the second its zone (a column utm, such as 36N or 32636)"
        )


def distance(a: Places, b: Places) -> Array:
    """Metres (N,) float64 between row i of `a` and row i of `b`, NaN where either has no position.

    A table of one row is compared with every row of the other. As accurate as `radius_neighbors`. Raises PlacesError
    if the lengths differ, or only one of the two is planar.
    """
    _same_frame(a, b)
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise PlacesError(f"{len(a)} places against {len(b)}: expected as many, or one")
    return _arc(np.linalg.norm(a.xyz - b.xyz, axis=-1), a.geodetic)


def is_within(queries: Places, database: Places, ids: ArrayLike, radius: float) -> BoolArray:
    """Whether database row ids[i, j] lies within `radius` metres of query i: bool (Q, k), as `ids`.

    False for -1, which stands for no row, and for a row without a position. Judges a ranking without building a tree.
    Raises PlacesError if `ids` is not (Q, k), or only one of the two tables is planar.
    """
    _same_frame(queries, database)
    ids = np.asarray(ids)
    if ids.ndim != 2 or len(ids) != len(queries):
        raise PlacesError(f"ids must be ({len(queries)}, k) for {len(queries)} queries, got {ids.shape}")
    chord = _chord(radius, database.geodetic)
    if not ids.size or not len(database):
        return np.zeros(ids.shape, bool)
    apart = np.linalg.norm(database.xyz[ids] - queries.xyz[:, None], axis=-1)
    return np.asarray((ids >= 0) & (apart <= chord))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The database rows near each query, nearest first (ties by row), in compressed sparse rows.

    offsets (Q + 1,) int64, ids (M,) int64, metres (M,) float64: offsets[i]:offsets[i + 1] are the entries of query i.
    """

    offsets: IntArray
    ids: IntArray
    metres: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, i: int) -> tuple[IntArray, Array]:
        """(ids, metres) of query `i`."""
        mine = slice(self.offsets[i], self.offsets[i + 1])
        return self.ids[mine], self.metres[mine]


class PlaceTree:
    """A k-d tree over the positions of a table, for several searches."""

    def __init__(self, places: Places) -> None:
        from scipy.spatial import cKDTree

        self.places = places
        self._rows = np.flatnonzero(places.located)
        # many photos share a spot (cut-outs of a panorama): splitting space in the middle keeps the tree shallow
        self._tree = cKDTree(places.xyz[self._rows], balanced_tree=False)

    def radius_neighbors(self, queries: Places, radius: float) -> Neighbours:
        """As the function `radius_neighbors`; the tree is built already."""
        from scipy.spatial import cKDTree

        _same_frame(queries, self.places)
        bent = self.places.geodetic
        chord = _chord(radius, bent)
        asked = np.flatnonzero(queries.located)
        xyz = queries.xyz[asked]
        counts, ids, metres = np.zeros(len(queries), np.int64), [np.empty(0, np.int64)], [np.empty(0)]
        for start, stop in self._chunks(xyz, chord):
            part = cKDTree(xyz[start:stop], balanced_tree=False)
            pairs = part.sparse_distance_matrix(self._tree, chord, output_type="ndarray")
            pairs = pairs[np.lexsort((pairs["j"], pairs["v"], pairs["i"]))]
            counts[asked[start:stop]] = np.bincount(pairs["i"], minlength=stop - start)
            ids.append(self._rows[pairs["j"]])
            metres.append(_arc(pairs["v"], bent))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Neighbours(offsets, np.concatenate(ids), np.concatenate(metres))

    def _chunks(self, xyz: Array, chord: float) -> Iterator[tuple[int, int]]:
        """Slices of the queries with a bounded number of pairs each."""
        if not len(xyz) or not len(self._rows):
            return
        total = np.cumsum(self._tree.query_ball_point(xyz, chord, return_length=True))
        start = 0
        while start < len(xyz):
            before = total[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
            yield start, stop
            start = stop


def radius_neighbors(queries: Places, database: Places, radius: float) -> Neighbours:
    """The database places within `radius` metres of each query, the limit included. Rows without a position have none.

    A k-d tree on `Places.xyz` finds them: time and memory grow with the pairs found, not with Q x N. Distances are
    arcs, less than 0.1 % off the geodesic up to 5,000 km at any latitude.
    Raises PlacesError if only one of the two is planar, or the radius is negative or not a number.
    """
    return PlaceTree(database).radius_neighbors(queries, radius)
