from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from netvlad.maps.confidence import DEEP, Calibration, evidence
from netvlad.maps.ground import from_best
from netvlad.maps.location import Location, answer_in_words, locate
from netvlad.maps.match import Match
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
    found = locate("q.jpg", PLACES, SQUARED, 25.0, None, 2)
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
    found = locate("q.jpg", PLACES, SQUARED, 25.0, None, 3)
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
    assert len(locate("q.jpg", PLACES, SQUARED, 25.0, None, 10).matches) == 3


def test_how_many_are_shown_does_not_change_the_confidence():
    n = 2 * DEEP
    # the first match of somewhere else is one that was not looked at when the calibration was learnt
    easting = np.where(np.arange(n) < DEEP + 10, 0.0, 500.0)
    places = Places.build(path=["/a.jpg"] * n, easting=easting, northing=0.0)
    squared = np.linspace(0.1, 1.0, n)
    learnt = Calibration([[0, 3.0, 0, 0], [0.0] * 4, [0.0] * 4], [0.0] * 3, [1.0] * 3, "place", 100)
    few = locate("q", places[:DEEP], squared[:DEEP], 25.0, learnt, 5)
    many = locate("q", places, squared, 25.0, learnt, n)
    assert few.confidence == many.confidence
    seen = evidence(squared[:DEEP], from_best(places[:DEEP], 25.0))
    assert few.confidence == pytest.approx(1 / (1 + 2 * np.exp(-3 * seen[0])))


def test_a_planar_map_has_no_degrees():
    places = Places.build(path=["/a.jpg"], easting=[12.5], northing=[-3.0])
    found = locate("q.jpg", places, np.array([0.01]), 25.0, None, 5)
    assert (found.easting, found.northing) == (12.5, -3.0)
    assert np.isnan([found.lat, found.lon]).all()
    assert found.matches[0].utm == 0


def located(lat=31.262119, lon=34.802749, confidence=0.834, absent=0.1, inliers=None, **more) -> Location:
    given = {"easting": 500000.0, "northing": 12.0, "utm": 32636, "heading": 90.0, "time": TIME, **more}
    return Location("q.jpg", [Match("a.jpg", lat, lon, distance=0.5, score=-0.25, inliers=inliers, **given)], 25.0,
                    confidence, absent)  # fmt: skip


TIME = np.datetime64("2025-12-22T10:00:00", "s")
NAN = float("nan")


@pytest.mark.parametrize(
    ("confidence", "absent", "verdict"),
    [(0.83, 0.1, "probable"), (0.5, 0.5, "probable"), (0.49, 0.1, "guess"), (0.04, 0.9, "absent"),
     (None, None, "unknown")],
)  # fmt: skip
def test_words_are_no_firmer_than_the_number(confidence, absent, verdict):
    found = located(confidence=confidence, absent=absent)
    assert found.verdict == found.to_dict()["verdict"] == verdict
    headline, _ = answer_in_words(found)
    begins = {"probable": "probably within 25 m of 31.26", "absent": "probably not in this map"}
    assert headline.startswith(begins.get(verdict, "a guess: within 25 m of 31.26"))


def test_an_answer_in_words():
    where = "within 25 m of 31.26212, 34.80275"
    assert answer_in_words(located()) == (f"probably {where}, confidence 0.83", "")
    unknown = located(confidence=None, absent=None)
    assert answer_in_words(unknown) == (f"a guess: {where}", "How sure this is cannot be told.")
    few = replace(unknown, uncalibrated="1 photo is too few to learn from")
    assert answer_in_words(few)[1] == "How sure this is cannot be told: 1 photo is too few to learn from."
    assert answer_in_words(located(confidence=0.04, absent=0.9)) == (
        "probably not in this map",
        f"The nearest place in it is {where}, confidence 0.04.",
    )
    planar = "probably within 25 m of easting 500000.0 m, northing 12.0 m, confidence 0.83"
    assert answer_in_words(located(lat=NAN, lon=NAN), planar=True) == (planar, "")
    assert answer_in_words(located(lat=NAN, lon=NAN))[0] == "no match was found"


def test_a_label_in_words():
    yard = {"lat": NAN, "lon": NAN, "easting": NAN, "northing": NAN, "place": "yard"}
    assert answer_in_words(located(**yard)) == ("probably place yard, confidence 0.83", "")
    assert answer_in_words(located(**yard, confidence=0.2))[0] == "a guess: place yard, confidence 0.20"
    assert answer_in_words(located(**{**yard, "place": ""}))[0] == "at no known place"


def test_where_the_photo_says_itself():
    said = replace(located(), gps=(31.262119, 34.802749))
    assert answer_in_words(said)[1] == "It is 0 m from the position that the photo itself states."
    away = answer_in_words(replace(said, confidence=0.1, absent=0.8))
    assert away[1].endswith("confidence 0.10. It is 0 m from the position that the photo itself states.")


def label_of(calibration, places) -> Location:
    return locate("q.jpg", places, np.array([0.1, 0.2]), 25.0, calibration, 2)


def test_a_calibration_of_labels_speaks_of_labels_and_no_other():
    labels = Places.build(path=["/a.jpg", "/b.jpg"], place=["yard", "gate"])
    of_labels = replace(always(0.7, 0.2, 0.1), labels=True)
    assert label_of(of_labels, labels).confidence == pytest.approx(0.7)
    assert label_of(always(0.7, 0.2, 0.1), labels).confidence is None
    assert label_of(of_labels, PLACES[:2]).confidence is None
    assert label_of(always(0.7, 0.2, 0.1), PLACES[:2]).confidence == pytest.approx(0.7)


def test_to_text():
    assert located().to_text() == (
        "q.jpg\n"
        "  probably within 25 m of 31.26212, 34.80275, confidence 0.83\n"
        "   1. distance 0.500  31.262119, 34.802749  2025-12-22T10:00:00  a.jpg"
    )
    assert located(lat=NAN, lon=NAN, inliers=7, time=np.datetime64("NaT"), absent=0.9).to_text() == (
        "q.jpg\n"
        "  probably not in this map\n"
        "  The nearest place in it is within 25 m of easting 500000.0 m, northing 12.0 m, confidence 0.83.\n"
        "   1. distance 0.500  7 inliers  500000.0 E, 12.0 N    a.jpg"
    )


def test_to_dict_is_json():
    unknown = located(lat=NAN, lon=NAN, heading=NAN, utm=0, time=np.datetime64("NaT"), confidence=None, absent=None)
    assert json.loads(json.dumps(unknown.to_dict(), allow_nan=False)) == {
        "photo": "q.jpg",
        "lat": None,
        "lon": None,
        "easting": 500000.0,
        "northing": 12.0,
        "radius": 25.0,
        "confidence": None,
        "absent": None,
        "in_map": None,
        "verdict": "unknown",
        "uncalibrated": None,
        "place": None,
        "from_gps": None,
        "matches": [
            {
                "path": "a.jpg",
                "lat": None,
                "lon": None,
                "easting": 500000.0,
                "northing": 12.0,
                "heading": None,
                "utm": None,
                "time": None,
                "distance": 0.5,
                "score": -0.25,
                "inliers": None,
                "place": None,
                "credit": None,
            }
        ],
    }
    known = located(inliers=3).to_dict()
    assert (known["lat"], known["absent"], known["in_map"]) == (31.262119, 0.1, True)
    match = known["matches"][0]
    assert (match["heading"], match["utm"], match["time"], match["inliers"]) == (90.0, 32636, "2025-12-22T10:00:00", 3)
