from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from netvlad.errors import PlacesError
from netvlad.places import from_utm, to_utm

GEOD = Geod(ellps="WGS84")


def test_utm_of_places_known_from_maps():
    # The CN Tower, as the article on UTM gives it: 17T 630084 4833438 for 43 38 33.24 N, 79 23 13.7 W.
    easting, northing, epsg = to_utm([43 + 38 / 60 + 33.24 / 3600, 0.0], [-(79 + 23 / 60 + 13.7 / 3600), 33.0])
    np.testing.assert_allclose(easting, [630084, 500000], atol=1)
    np.testing.assert_allclose(northing, [4833438, 0], atol=1)
    assert epsg.tolist() == [32617, 32636]
    assert epsg.dtype == np.int32


@pytest.mark.parametrize(
    ("lat", "lon", "epsg"),
    [
        (48, 5.9999, 32631), (48, 6, 32632), (48, 11.9999, 32632), (48, 12, 32633),
        (-48, 6, 32732), (-1e-9, 33, 32736), (0, 33, 32636),
        (0, -180, 32601), (0, 180, 32601), (0, 179.99, 32660), (0, 174, 32660), (0, 0, 32631),
        (60.39, 5.32, 32632), (55.99, 3, 32631), (56, 3, 32632), (63.99, 2.99, 32631), (64, 5.9, 32631),
        (60, 12, 32633), (71.99, 8, 32632), (72, 8, 32631), (75, 8.99, 32631), (75, 9, 32633),
        (78.22, 15.65, 32633), (75, 20.99, 32633), (75, 21, 32635), (75, 33, 32637), (75, 41.99, 32637),
        (75, 42, 32638), (75, -0.01, 32630),
        (84, 10, 32633), (84.01, 10, 5041), (90, 0, 5041), (-80, 10, 32732), (-80.01, 10, 5042),
        (-90, 123, 5042),
    ],
)  # fmt: skip
def test_zone(lat, lon, epsg):
    assert to_utm(lat, lon)[2] == epsg


def test_poles_are_the_middle_of_their_grid():
    easting, northing, _ = to_utm([90.0, -90.0], [0.0, 0.0])
    np.testing.assert_allclose([easting, northing], 2_000_000, atol=1e-6)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_utm_leads_back(points):
    lat, lon = np.array(points).T
    back_lat, back_lon = from_utm(*to_utm(lat, lon))
    assert GEOD.inv(lon, lat, back_lon, back_lat)[2] == pytest.approx(0, abs=1e-3)


def test_numbers_come_back_as_numbers():
    easting, northing, epsg = to_utm(31.26, 34.8)
    assert np.ndim(easting) == np.ndim(northing) == np.ndim(epsg) == 0
    np.testing.assert_allclose(from_utm(easting, northing, epsg), (31.26, 34.8))


@pytest.mark.parametrize(("lat", "lon"), [(90.1, 0), (0, 180.1), (np.nan, 0), (0, np.inf)])
def test_no_zone_off_the_globe(lat, lon):
    with pytest.raises(PlacesError, match="position 1 of 2"):
        to_utm([0, lat], [0, lon])


def test_from_utm_refuses_other_frames():
    with pytest.raises(PlacesError, match="28992"):
        from_utm(155_000, 463_000, 28992)
