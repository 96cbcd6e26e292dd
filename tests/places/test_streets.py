from __future__ import annotations

import numpy as np
import pytest

from netvlad.places.streets import street_lines, streets_within


def pairs(lines) -> set[tuple[int, int]]:
    return set(map(tuple, lines.tolist()))


def test_photos_of_one_street_are_a_chain():
    rng = np.random.default_rng(0)
    along = np.column_stack([10.0 * np.arange(20), rng.normal(0, 0.5, 20)])
    assert pairs(street_lines(along)) == {(i, i + 1) for i in range(19)}


def test_a_crossing_joins_four_streets_and_parallel_streets_stay_apart():
    arms = [(0, 0), (10, 0), (-10, 0), (0, 10), (0, -10)]
    assert pairs(street_lines(np.array(arms, float))) == {(0, i) for i in range(1, 5)}
    two = np.array([(10.0 * i, y) for y in (0.0, 45.0) for i in range(5)])
    assert pairs(street_lines(two)) == {(i, i + 1) for i in (0, 1, 2, 3, 5, 6, 7, 8)}


def test_no_line_closer_than_all_third_points():
    """As the definition says, by a loop over all points."""
    points = np.random.default_rng(1).uniform(0, 100, (60, 2))
    d = np.linalg.norm(points[:, None] - points, axis=2)
    longest = 4 * np.median(np.sort(d, axis=1)[:, 1])
    want = {
        (i, j)
        for i in range(60)
        for j in range(i + 1, 60)
        if d[i, j] <= longest and not any(max(d[i, k], d[j, k]) < d[i, j] for k in range(60) if k not in (i, j))
    }
    assert pairs(street_lines(points)) == want


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_positions(n):
    assert len(street_lines(np.arange(2.0 * n).reshape(n, 2))) == max(0, n - 1)


def test_degrees_a_box_and_what_is_thinned():
    lat, lon = np.meshgrid(np.linspace(60, 60.001, 50), np.linspace(10, 10.002, 50))
    every = streets_within(lat.ravel(), lon.ravel(), box=None, most=5000, geodetic=True)
    assert every.total == len(every.points) == 2500
    few = streets_within(lat.ravel(), lon.ravel(), box=(10, 60, 10.001, 60.0005), most=100, geodetic=True)
    assert few.total == 625
    assert 40 <= len(few.points) <= 100
    assert few.points.max(axis=0) == pytest.approx([60.0005, 10.001], abs=1e-4)
    across = streets_within(np.zeros(2), np.array([179.9999, -179.9999]), box=(179, -1, -179, 1), most=9, geodetic=True)
    assert across.total == 2
    nothing = streets_within(lat.ravel(), lon.ravel(), box=(0, 0, 1, 1), most=9, geodetic=True)
    assert (nothing.total, len(nothing.lines)) == (0, 0)
