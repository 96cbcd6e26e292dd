from __future__ import annotations

import numpy as np
import pytest

from netvlad.maps.ground import Ground, by_label, from_best, own_visits
from netvlad.places import Places

RADIUS = 25.0


def on_a_street(metres, time=None) -> Places:
    return Places.build(path=[f"/{i}.jpg" for i in range(len(metres))], easting=metres, northing=0.0, time=time)


# -- who is left out ----------------------------------------------------------------------------------------------


def same_groups(a, b) -> bool:
    return ((a[:, None] == a) == (np.array(b)[:, None] == np.array(b))).all()


def test_own_visit_is_the_session_where_there_are_several():
    times = ["2025-01-01T10:00:00", "2025-01-02T10:00:00", "2025-01-01T10:05:00", None, None, "2025-01-02T10:30:00"]
    how, visit = next(own_visits(on_a_street(np.zeros(6), times)))
    assert how == "session"
    assert same_groups(visit, [0, 1, 0, 2, 3, 1])  # without a time each is its own


@pytest.mark.parametrize("times", [None, ["2025-01-01T10:00:00", "2025-01-01T11:00:00", None, None]])
def test_own_visit_is_the_exact_place_otherwise(times):
    [(how, visit)] = own_visits(on_a_street([0.0, 0.3, 3.0, 0.0], times))
    assert how == "place"
    assert same_groups(visit, [0, 0, 1, 0])
    round_the_globe = Places.build(path=["/a.jpg", "/b.jpg", "/c.jpg"], lat=[10.0, 10.0, 10.0001], lon=[7.0, 7.0, 7.0])
    assert same_groups(next(own_visits(round_the_globe))[1], [0, 0, 1])


def test_labels_are_left_out_photo_by_photo():
    [(how, visit)] = own_visits(Places.build(path=["/a.jpg", "/b.jpg"], place=["x", "x"]))
    assert (how, len(set(visit))) == ("photo", 2)
    places = Places.build(path=["/a.jpg", "/b.jpg"], place="x", time=["2025-01-01T10:00:00", "2025-01-02T10:00:00"])
    assert [how for how, _ in own_visits(places)] == ["session", "photo"]


# -- what is one place --------------------------------------------------------------------------------------------


def test_ground_of_positions():
    ground = Ground.of(on_a_street([0.0, 25.0, 26.0, 60.0]), RADIUS)
    np.testing.assert_allclose(ground.apart(np.array([0]), np.array([[0, 1, 2, 3]])), [[0, 1, 1.04, 2.4]])
    assert sorted(ground.around(0)) == [0, 1]
    assert sorted(ground.around(0, 2.0)) == [0, 1, 2]


def test_ground_of_labels():
    ground = Ground.of(Places.build(path=["/a.jpg", "/b.jpg", "/c.jpg"], place=["x", "y", "x"]), RADIUS)
    assert ground.apart(np.array([0]), np.array([[0, 1, 2]])).tolist() == [[0, np.inf, 0]]
    assert sorted(ground.around(0, 2.0)) == [0, 2]


def test_how_far_a_ranking_lies_from_its_best():
    mixed = Places.build(path=["/a.jpg", "/b.jpg", "/c.jpg"], easting=[0, 50.0, None], northing=[0, 0, None], place="x")
    assert from_best(mixed, RADIUS).tolist() == [0, 2, np.inf]
    assert from_best(mixed[[2, 0]], RADIUS).tolist() == [0, 0]  # the same label


@pytest.mark.parametrize(("alone", "labels"), [(3, False), (4, True)])
def test_a_map_is_of_labels_where_most_photos_have_nothing_else(alone, labels):
    east = [0.0] * 3 + [None] * alone
    assert by_label(Places.build(path=list("abcdefg")[: len(east)], easting=east, northing=east, place="x")) is labels
