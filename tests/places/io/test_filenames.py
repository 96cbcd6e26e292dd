from __future__ import annotations

import math
from datetime import datetime

import pytest

from netvlad.places.io.filenames import parse_name

FULL = "@0543256.96@4178906.70@10@S@037.75700@-122.50900@pano_7@3@90@-2@@12@20131105_1015@note@.jpg"


def test_the_full_form():
    shot = parse_name("/data/" + FULL)
    assert (shot.easting, shot.northing, shot.utm) == (543256.96, 4178906.70, 32610)
    assert (shot.lat, shot.lon) == (37.757, -122.509)
    assert (shot.panorama, shot.heading, shot.time) == ("pano_7", 90, datetime(2013, 11, 5, 10, 15))


def test_empty_fields():
    shot = parse_name("@0543256.96@4178906.70@10@S@@@@@@@@@@@.jpg")
    assert (shot.utm, shot.panorama, shot.time) == (32610, "", None)
    assert math.isnan(shot.heading)
    shot = parse_name("@@@@@037.75700@-122.50900@@@361@@@@201311@@.jpg")
    assert (shot.lat, shot.lon, shot.utm) == (37.757, -122.509, 0)
    assert math.isnan(shot.heading)
    assert shot.time == datetime(2013, 11, 1, 12)


@pytest.mark.parametrize(
    ("name", "utm"),
    [
        ("@584949.89@4477141.96@.jpg", 0),
        ("@584949.89@4477141.96@pano 17@.jpg", 0),
        ("@584949.89@4477141.96@17@T@.jpg", 32617),
        ("@584949.89@4477141.96@17@T@40.44@-79.99@whatever@.png", 32617),
        ("@334873.1@6252266.2@56@H@.jpg", 32756),
        ("@584949.89@4477141.96@12@.jpg", 0),  # a number alone may be anything
    ],
)
def test_short_forms(name, utm):
    shot = parse_name(name)
    assert shot.easting == float(name.split("@")[1])
    assert shot.utm == utm
    assert shot.panorama == ""


def test_the_latitude_knows_the_hemisphere_better_than_a_letter():
    assert parse_name("@334873.1@6252266.2@56@S@-33.85@151.21@@@@@@@@@.jpg").utm == 32756
    assert parse_name("@543256.96@4178906.70@10@S@@@@@@@@@@@.jpg").utm == 32610


@pytest.mark.parametrize("name", ["a.jpg", "me@home@.jpg", "@me@home@.jpg", "@1@2.jpg", "@@@.jpg", "@inf@2@.jpg"])
def test_other_names(name):
    assert parse_name(name) is None
