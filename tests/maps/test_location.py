from __future__ import annotations

import numpy as np
import pytest

from netvlad.maps.confidence import DEEP, Calibration, evidence
from netvlad.maps.location import locate
from netvlad.places import Places

PLACES = Places.build(
    path=["/a.jpg", "/b.jpg", "/c.jpg"],
    lat=[31.26, 31.27, 31.28],
    lon=[34.80, 34.81, 34.82],
    heading=[10.0, np.nan, 350.0],
    time=["2025-12-22T10:00:00", None, "2025-12-22T18:00:00"],
)
SQUARED = np.array([0.25, 0.49, 1.0])


def always(right: float, wrong: float, absent: float) -> Calibration:
    weights = [[float(np.log(p)), 0.0, 0.0, 0.0] for p in (right, wrong, absent)]
    return Calibration(weights, [0.0] * 3, [1.0] * 3, "place", 100)


def test_the_answer_is_the_place_of_the_best_match():
    found = locate("q.jpg", PLACES, SQUARED, 25.0, "not calibrated", 2)
    assert (found.lat, found.lon) == (31.26, 34.80)
    assert (found.easting, found.northing) == (PLACES.easting[0], PLACES.northing[0])
    assert [m.path for m in found] == [m.path for m in found.matches] == ["/a.jpg", "/b.jpg"]
    assert [m.distance for m in found] == [0.5, 0.7]
    assert [m.score for m in found] == [-0.25, -0.49]
    assert [m.utm for m in found] == [32636, 32636]
    assert found.matches[0].heading == 10.0
    assert np.isnan(found.matches[1].heading)
    assert found.matches[0].time == np.datetime64("2025-12-22T10:00:00")
    assert np.isnat(found.matches[1].time)
    assert (found.query, found.radius) == ("q.jpg", 25.0)


def test_without_a_calibration_nothing_is_claimed():
    found = locate("q.jpg", PLACES, SQUARED, 25.0, "not calibrated", 3)
    assert (found.confidence, found.absent, found.in_map) == (None, None, None)


@pytest.mark.parametrize(
    ("probabilities", "in_map"),
    [((0.7, 0.2, 0.1), True), ((0.2, 0.2, 0.6), False), ((0.25, 0.25, 0.5), False), ((0.4, 0.2, 0.4), True)],
)
def test_the_outcomes_are_told_apart(probabilities, in_map):
    found = locate("q.jpg", PLACES, SQUARED, 25.0, always(*probabilities), 1)
    assert (found.confidence, found.absent) == pytest.approx((probabilities[0], probabilities[2]))
    assert found.in_map is in_map


def test_more_matches_than_there_are():
    assert len(locate("q.jpg", PLACES, SQUARED, 25.0, "no", 10).matches) == 3


def test_how_many_are_shown_does_not_change_the_confidence():
    n = 2 * DEEP
    # the first match of somewhere else is one that was not looked at when the calibration was learnt
    easting = np.where(np.arange(n) < DEEP + 10, 0.0, 500.0)
    places = Places.build(path=["/a.jpg"] * n, easting=easting, northing=0.0)
    squared = np.linspace(0.1, 1.0, n)
    learnt = Calibration([[0, 0, 3.0, 0], [0.0] * 4, [0.0] * 4], [0.0] * 3, [1.0] * 3, "place", 100)
    few = locate("q", places[:DEEP], squared[:DEEP], 25.0, learnt, 5)
    many = locate("q", places, squared, 25.0, learnt, n)
    assert few.confidence == many.confidence
    seen = evidence(squared[:DEEP], places.xyz[:DEEP], 25.0)
    assert few.confidence == pytest.approx(1 / (1 + 2 * np.exp(-3 * seen[1])))


def test_a_planar_map_has_no_degrees():
    places = Places.build(path=["/a.jpg"], easting=[12.5], northing=[-3.0])
    found = locate("q.jpg", places, np.array([0.01]), 25.0, "no", 5)
    assert (found.easting, found.northing) == (12.5, -3.0)
    assert np.isnan([found.lat, found.lon]).all()
    assert found.matches[0].utm == 0
