from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from netvlad.errors import PlacesError
from netvlad.places import Places, PlaceTree, distance, is_within, neighbours, radius_neighbors

GEOD = Geod(ellps="WGS84")


def table(lat, lon) -> Places:
    return Places.build(path=[f"{i}.jpg" for i in range(len(lat))], lat=lat, lon=lon)


def plane(xy) -> Places:
    xy = np.asarray(xy, float)
    return Places.build(path=[f"{i}.jpg" for i in range(len(xy))], easting=xy[:, 0], northing=xy[:, 1])


def brute_force(queries: Places, database: Places, radius: float) -> list[list[int]]:
    """Sorted neighbours by the geodesic, pair by pair."""
    found = []
    for i in range(len(queries)):
        metres = [
            GEOD.inv(queries.lon[i], queries.lat[i], database.lon[j], database.lat[j])[2] for j in range(len(database))
        ]
        near = sorted((m, j) for j, m in enumerate(metres) if m <= radius)
        found.append([j for _, j in near])
    return found


PAIRS = {
    "zone border at 6 E": ((48.0, 5.9999), (48.0, 6.0001)),
    "zone border at 12 E": ((48.0, 11.9999), (48.00005, 12.0001)),
    "antimeridian": ((-17.0, 179.9999), (-17.0, -179.9999)),
    "antimeridian, one on it": ((65.0, 180.0), (65.0, -179.9999)),
    "over the north pole": ((89.9999, 0.0), (89.9999, 180.0)),
    "at the south pole": ((-90.0, 12.0), (-89.9998, -70.0)),
    "UTM to UPS": ((83.99995, 20.0), (84.00005, 20.0)),
    "equator": ((-0.0001, 33.0), (0.0001, 33.0)),
    "80 N": ((80.0, 15.0), (80.0, 15.001)),
    "across a city": ((48.8584, 2.2945), (48.8530, 2.3499)),
    "across a continent": ((38.7, -9.1), (55.75, 37.6)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_distance_is_the_geodesic(pair):
    (lat1, lon1), (lat2, lon2) = pair
    geodesic = GEOD.inv(lon1, lat1, lon2, lat2)[2]
    a, b = table([lat1], [lon1]), table([lat2], [lon2])
    np.testing.assert_allclose(distance(a, b), geodesic, rtol=1e-4)
    # ... and so is what the tree finds: just inside, and not just outside.
    assert radius_neighbors(a, b, geodesic * 1.001).ids.tolist() == [0]
    assert radius_neighbors(a, b, geodesic * 0.999).ids.tolist() == []


@pytest.mark.parametrize("metres", [25, 1e4, 1e6, 5e6])
def test_distance_is_within_a_thousandth_everywhere(metres):
    rng = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 2000))), rng.uniform(-180, 180, 2000)
    lon2, lat2, _ = GEOD.fwd(lon, lat, rng.uniform(0, 360, 2000), np.full(2000, metres))
    np.testing.assert_allclose(distance(table(lat, lon), table(lat2, lon2)), metres, rtol=1e-3)


def test_one_row_is_held_against_all():
    a, b = table([48.0], [2.0]), table([48.0, 48.001, 48.01], [2.0, 2.0, 2.0])
    expected = GEOD.inv([2.0] * 3, [48.0] * 3, b.lon, b.lat)[2]
    np.testing.assert_allclose(distance(a, b), expected, rtol=1e-6)
    np.testing.assert_array_equal(distance(a, b), distance(b, a))


def test_distance_refuses_other_lengths():
    with pytest.raises(PlacesError, match="2 places against 3"):
        distance(table([1, 2], [1, 2]), table([1, 2, 3], [1, 2, 3]))


@pytest.mark.parametrize(
    ("lat", "lon", "spread"), [(0.0, 180.0, 1e-3), (48.0, 12.0, 1e-3), (84.0, 6.0, 4e-3), (89.9999, 0.0, 170)]
)
def test_radius_neighbors_agrees_with_every_pair(lat, lon, spread, monkeypatch):
    monkeypatch.setattr(neighbours, "_PAIRS_AT_ONCE", 50)  # several chunks, some of a single query
    rng = np.random.default_rng(1)

    def some_places(n):
        around = (lon + rng.uniform(-spread, spread, n) + 180) % 360 - 180
        return table(90 - np.abs(90 - lat - rng.uniform(-1e-3, 1e-3, n)), around)

    queries, database = some_places(40), some_places(60)
    found = radius_neighbors(queries, database, 60.0)
    assert len(found) == 40
    assert found.offsets.dtype == found.ids.dtype == np.int64
    assert found.offsets[0] == 0
    assert found.offsets[-1] == len(found.ids) == len(found.metres) > 60
    for i, expected in enumerate(brute_force(queries, database, 60.0)):
        ids, metres = found.of(i)
        assert ids.tolist() == expected
        real = GEOD.inv(
            *(np.full(len(ids), v) for v in (queries.lon[i], queries.lat[i])),
            database.lon[ids],
            database.lat[ids],
        )
        np.testing.assert_allclose(metres, real[2], rtol=1e-5, atol=1e-6)


def test_radius_neighbors_on_a_plane_includes_the_limit_and_breaks_ties_by_row():
    database = plane([(30, 40), (0, 10), (10, 0), (0, 0), (30.001, 40), (0, 10)])
    found = radius_neighbors(plane([(0, 0), (1000, 0)]), database, 50)
    assert found.offsets.tolist() == [0, 5, 5]
    assert found.ids.tolist() == [3, 1, 2, 5, 0]
    assert found.metres.tolist() == [0, 10, 10, 10, 50]
    assert found.of(1)[0].tolist() == []


def test_radius_neighbors_at_the_ends_of_the_scale():
    places = table([0.0, 0.0, -45.0], [1.0, 1.0, -179.0])
    assert radius_neighbors(places, places, 0).ids.tolist() == [0, 1, 0, 1, 2]
    assert len(radius_neighbors(places, places, 3e7).ids) == 9
    assert len(radius_neighbors(places, places, np.inf).ids) == 9
    empty = places[[]]
    assert radius_neighbors(empty, places, 25).offsets.tolist() == [0]
    assert radius_neighbors(places, empty, 25).offsets.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("radius", [-1, np.nan])
def test_radius_neighbors_refuses_a_radius_that_is_none(radius):
    with pytest.raises(PlacesError, match="radius"):
        radius_neighbors(plane([(0, 0)]), plane([(0, 0)]), radius)


def test_planar_and_geodetic_have_no_distance():
    a, b = table([48.0], [2.0]), plane([(0, 0)])
    for ask in (lambda: distance(a, b), lambda: radius_neighbors(a, b, 25), lambda: is_within(b, a, [[0]], 25)):
        with pytest.raises(PlacesError, match="zone"):
            ask()


def test_is_within_judges_a_ranking_as_the_tree_does():
    rng = np.random.default_rng(2)
    queries = table(48 + rng.uniform(0, 2e-3, 30), 6 + rng.uniform(-1e-3, 1e-3, 30))
    database = table(48 + rng.uniform(0, 2e-3, 50), 6 + rng.uniform(-1e-3, 1e-3, 50))
    ids = rng.integers(-1, 50, (30, 8))
    found = PlaceTree(database).radius_neighbors(queries, 40)
    expected = [[j in found.of(i)[0] for j in row] for i, row in enumerate(ids)]
    np.testing.assert_array_equal(is_within(queries, database, ids, 40), expected)
    assert 0 < np.mean(expected) < 1
    with pytest.raises(PlacesError, match="30 queries"):
        is_within(queries, database, ids[0], 40)


def test_many_photos_on_one_spot_are_no_trouble():
    rng = np.random.default_rng(3)
    spots = rng.uniform(0, 1000, (500, 2)).repeat(100, axis=0)
    found = radius_neighbors(plane(spots[:1000]), plane(spots), 1)
    assert (np.diff(found.offsets) >= 100).all()
