from __future__ import annotations

import math

import numpy as np
import pytest

from netvlad.places.zones import epsg_of, zones

UNKNOWN = math.nan


@pytest.mark.parametrize(
    ("zone", "letter", "lat", "northing", "epsg"),
    [
        ("36N", None, UNKNOWN, 3e6, 32636),
        ("36n", None, UNKNOWN, 3e6, 32636),
        ("17T", None, UNKNOWN, 4.8e6, 32617),
        ("56H", None, UNKNOWN, 6.2e6, 32756),
        ("UTM 36 N", None, UNKNOWN, 3e6, 32636),
        ("utm_zone_36_north", None, UNKNOWN, 3e6, 32636),
        ("UTM zone 36 South", None, UNKNOWN, 3e6, 32736),
        ("7", "M", UNKNOWN, 9e6, 32707),
        (36, "N", UNKNOWN, 3e6, 32636),
        (36.0, "R", UNKNOWN, 3e6, 32636),
        (32636, None, UNKNOWN, 3e6, 32636),
        ("32736", None, UNKNOWN, 3e6, 32736),
        ("EPSG:32636", None, UNKNOWN, 3e6, 32636),
        (5041, None, UNKNOWN, 2e6, 5041),
        ("36", None, 31.0, 3e6, 32636),
        ("36", None, -31.0, 3e6, 32736),
        ("10S", None, UNKNOWN, 4_178_906, 32610),  # San Francisco lies in band S
        ("56S", None, UNKNOWN, 6_252_000, 32756),  # Sydney lies in the south
        ("10S", None, -55.0, 4_000_000, 32710),  # the latitude knows better
        ("", None, UNKNOWN, 3e6, 0),
        (None, None, UNKNOWN, 3e6, 0),
        (0, None, UNKNOWN, 3e6, 0),
        ("36", None, UNKNOWN, 3e6, None),
        ("61N", None, UNKNOWN, 3e6, None),
        ("0N", None, UNKNOWN, 3e6, None),
        ("36I", None, UNKNOWN, 3e6, None),
        ("28992", None, UNKNOWN, 3e6, None),
        ("north gate", None, UNKNOWN, 3e6, None),
    ],
)
def test_zone(zone, letter, lat, northing, epsg):
    assert epsg_of(zone, letter, lat, northing) == epsg


def test_a_column_of_zones():
    codes, bad = zones(["36N", "", "x"], None, np.full(3, np.nan), np.full(3, 3e6))
    assert codes.tolist() == [32636, 0, 0]
    assert codes.dtype == np.int32
    assert list(bad) == [2]
    assert zones(np.array([32636, 0]), None, None, None)[0].tolist() == [32636, 0]
