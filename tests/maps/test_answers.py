from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.errors import PlaceIndexError
from netvlad.maps.answers import location_from_dict
from netvlad.maps.location import Location
from netvlad.maps.match import Match


def match(**changes) -> Match:
    given = {"path": "a.jpg", "lat": 31.5, "lon": 34.5, "easting": 1.0, "northing": 2.0, "utm": 32636, "heading": 90.0}
    given |= {"time": np.datetime64("2020-01-02T03:04:05"), "distance": 0.5, "score": -0.25, "inliers": 7, "place": "p"}
    return Match(**given | changes)


UNKNOWN = {"heading": np.nan, "time": np.datetime64("NaT"), "inliers": None, "place": "", "utm": 0}


@pytest.mark.parametrize(
    "matches",
    [[match(), match(**UNKNOWN)], [match(lat=np.nan, lon=np.nan)], [match(lat=np.nan, lon=np.nan, easting=np.nan)]],
)
def test_it_is_what_it_was(matches):
    location = Location("q.jpg", matches, 25.0, 0.75, 0.125)
    unsure = Location("q.jpg", matches, 25.0, None, None, uncalibrated="too few photos")
    assert location_from_dict(unsure.to_dict()).to_text() == unsure.to_text()
    again = location_from_dict(json.loads(json.dumps(location.to_dict())))
    assert again.to_dict() == location.to_dict()
    assert again.to_text() == location.to_text()


def test_what_is_no_answer():
    whole = Location("q.jpg", [match()], 25.0, None, None).to_dict()
    for wrong in ({}, {**whole, "matches": []}, {**whole, "matches": [{}]}, {**whole, "radius": "far"}):
        with pytest.raises(PlaceIndexError):
            location_from_dict(wrong)
