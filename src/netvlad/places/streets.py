"""The streets that photos were taken along, guessed from their positions alone: a map without map data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.types import Array, FloatArray, IntArray

NEIGHBOURS = 8
LONGEST = 4.0  # of a line, in medians of the distance to the nearest neighbour
METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True, eq=False)
class Streets:
    """points (N, 2) float64: [lat, lon], or [northing, easting] in metres. lines (E, 2) int64: rows of `points`.

    total: positions there are, of which the points may be a thinned choice.
    """

    points: Array
    lines: IntArray
    total: int


def streets_within(
    north: Array, east: Array, *, box: tuple[float, float, float, float] | None, most: int, geodetic: bool
) -> Streets:
    """At most `most` of the positions in `box` (west, south, east, north; None for all), and the lines between them.

    north, east (N,): degrees where `geodetic`, else metres. A box whose west exceeds its east spans the antimeridian.
    Positions are thinned evenly over the area, so that few photos stand for many.
    """
    if box is not None:
        west, south, east_end, north_end = box
        in_west, in_east = east >= west, east <= east_end
        inside = (
            (in_west & in_east if west <= east_end else in_west | in_east) & (north >= south) & (north <= north_end)
        )
        north, east = north[inside], east[inside]
    points = np.unique(np.column_stack([north, east]).astype(np.float64), axis=0)
    metres = points * _scale(points, geodetic)
    kept = _thinned(metres, most)
    return Streets(points[kept], street_lines(metres[kept]), len(points))


def street_lines(metres: Array) -> IntArray:
    """Pairs of rows of `metres` (N, 2) that a street joins, (E, 2) int64, each pair once.

    The relative neighbourhood graph (Toussaint, 1980): two positions are joined unless a third is nearer to both. Lines
    of more than `LONGEST` times the usual spacing are left out.
    """
    from scipy.spatial import cKDTree

    k = min(NEIGHBOURS + 1, len(metres))
    if k < 2:
        return np.empty((0, 2), np.int64)
    away, near = cKDTree(metres).query(metres, k)
    away, near = away[:, 1:], near[:, 1:]  # without itself
    longest = LONGEST * np.median(away[:, 0])
    joined = away <= longest
    for j in range(1, k - 1):
        between = np.linalg.norm(metres[near[:, :j]] - metres[near[:, j]][:, None], axis=2)
        joined[:, j] &= ~(np.maximum(between, away[:, :j]) < away[:, j, None]).any(axis=1)
    rows, columns = np.nonzero(joined)
    pairs = np.sort(np.column_stack([rows, near[rows, columns]]), axis=1)
    lines: IntArray = np.unique(pairs, axis=0).astype(np.int64)
    return lines


def _thinned(metres: Array, most: int) -> IntArray:
    """Rows of at most `most` positions, one a cell of the finest grid that leaves so few."""
    if len(metres) <= most:
        return np.arange(len(metres))
    span = np.ptp(metres, axis=0).max()
    cell = span / 4096
    while True:
        cells = np.floor((metres - metres.min(axis=0)) / cell).astype(np.int64)
        _, first = np.unique(cells, axis=0, return_index=True)
        if len(first) <= most:
            return np.sort(first)
        cell *= 1.25


def _scale(points: Array, geodetic: bool) -> FloatArray | Array:
    """Metres of a unit north and of a unit east; a street is too short for the curvature of the earth to matter."""
    if not geodetic or not len(points):
        return np.ones(2)
    return METRES_A_DEGREE * np.column_stack([np.ones(len(points)), np.cos(np.radians(points[:, 0]))])
