from __future__ import annotations

import numpy as np
import pytest

from netvlad.places.projection import from_utm
from netvlad.town.capture_plan import MOST
from netvlad.town.plan import MARGIN
from netvlad.town.world import APART, EPSG, LAT, LON, Neighbourhood


def test_the_seed_and_the_number_decide(place):
    same, other = (Neighbourhood.draw(3, number, (1, 1)) for number in (0, 1))
    corners = np.concatenate(place.mesh.corners)
    assert np.concatenate(same.mesh.corners).tobytes() == corners.tobytes()
    assert (same.turn, 0 <= same.turn < 90) == (place.turn, True)
    assert np.concatenate(other.mesh.corners).shape != corners.shape
    np.testing.assert_array_equal(other.skyline, place.skyline)  # one town, one skyline
    bare = Neighbourhood.draw(4, 0, (1, 1), bare=True)
    assert len({one.turn for one in (place, other, bare)}) == 3
    assert len({repr(one.plan) for one in (place, other, bare)}) == 3


def test_a_bare_one_has_the_same_streets(place):
    bare = Neighbourhood.draw(3, 0, (1, 1), bare=True)
    assert repr(bare.plan) == repr(place.plan)
    assert bare.turn == place.turn
    assert not bare.mesh.corners


def test_the_plan_is_turned_clockwise(place):
    for street in place.plan.streets:
        a, b = place.to_world(street.start), place.to_world(street.end)
        assert np.degrees(np.arctan2(*(b - a))) == pytest.approx(street.heading + place.turn)
        assert np.linalg.norm(b - a) == pytest.approx(street.length)
    np.testing.assert_allclose(place.to_world(place.middle), 0, atol=1e-9)
    point = place.to_world(np.array([[[*place.middle, 7.0]]]))
    assert point.shape == (1, 1, 3)
    np.testing.assert_allclose(point[0, 0], [0, 0, 7], atol=1e-9)


def test_where_neighbourhoods_lie():
    origins = np.array([Neighbourhood.draw(0, number, (1, 1), bare=True).origin for number in range(20)])
    lat, lon = from_utm(origins[:, 0], origins[:, 1], np.full(20, EPSG))
    assert (lat[0], lon[0]) == pytest.approx((LAT, LON))
    assert origins[0, 0] == pytest.approx(500_000)  # the middle of its zone, where the grid's north is north
    assert abs(lon - LON).max() < 0.07
    gaps = np.linalg.norm(origins[:, None] - origins, axis=-1)[~np.eye(20, dtype=bool)]
    assert gaps.min() == pytest.approx(APART)
    # the largest that may be: its corners, however it is turned, and those of the next one stay far apart
    widest = np.hypot(*[(MOST - 1) * 76 + 2 * MARGIN] * 2)
    assert widest <= APART - 100


def test_a_scene_is_of_its_moment(place, at):
    before = [len(part) for part in (place.mesh.corners, place.mesh.materials, place.textures._pixels)]
    noon = place.scene(at())
    again, other = place.scene(at()), place.scene(at(seed=2))
    assert noon.corners.tobytes() == again.corners.tobytes()
    assert noon.corners.shape != other.corners.shape  # other cars, other people
    still = len(np.concatenate(place.mesh.corners))
    np.testing.assert_array_equal(noon.corners[:still], other.corners[:still])
    assert before == [len(part) for part in (place.mesh.corners, place.mesh.materials, place.textures._pixels)]


def test_trees_are_bare_in_winter_and_under_snow(place, at):
    leaves = {}
    for when, weather in (("2021-06-21T09:48", "clear"), ("2021-01-21T09:48", "clear"), ("2021-06-21T09:48", "snow")):
        scene = place.scene(at(when + ":00", weather))
        leaves[when, weather] = int((scene.kind[scene.material] == 2).sum())
    summer, *bare = leaves.values()
    assert summer == 2 * 26 * len(place.tips)
    assert bare == [0, 0]


def test_the_world_is_flat_and_wide(place, at):
    scene = place.scene(at())
    rng = np.random.default_rng(0)
    turn, reach = rng.uniform(0, 2 * np.pi, 500), 400 * np.sqrt(rng.random(500))
    above = np.stack([reach * np.sin(turn), reach * np.cos(turn), np.full(500, 50.0)], axis=1).astype(np.float32)
    triangle, distance, _ = scene.intersect(above, np.tile(np.float32([0, 0, -1]), (500, 1)))
    assert (triangle >= 0).all()  # no hole anywhere
    assert distance.max() == pytest.approx(50, abs=0.02)
    assert (distance > 49).mean() > 0.6
