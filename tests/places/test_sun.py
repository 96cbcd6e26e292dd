from __future__ import annotations

import numpy as np
import pytest

from netvlad.places import Places
from netvlad.places.sun import as_utc, elevation


@pytest.mark.parametrize(
    ("lat", "lon", "utc", "degrees"),
    [
        (
            0.0,
            1e-9,
            "2024-03-20T12:07:25Z",
            90.0,
        ),  # overhead at the equinox, 7 minutes late by the equation of time
        (51.4769, -0.0005, "2025-12-21T11:58:00Z", 90 - 51.4769 - 23.44),  # noon of the winter solstice
        (51.4769, -0.0005, "2025-06-21T03:43:00Z", -0.83),  # sunrise in the almanac, refraction included
        (-23.44, 133.0, "2025-12-21T03:06:00Z", 90.0),
        (90.0, 0.0, "2025-06-21T00:00:00Z", 23.44),
        (-90.0, 0.0, "2025-06-21T17:00:00Z", -23.44),
    ],
)
def test_elevation_as_almanacs_have_it(lat, lon, utc, degrees):
    assert elevation(Places.build(path="a", lat=lat, lon=lon, time=[utc]))[0] == pytest.approx(degrees, abs=0.3)


def test_a_wall_clock_has_the_sun_in_the_south_at_twelve():
    # On 15 April the equation of time is 0, and the declination 9.6 to 10.0 degrees.
    noon = Places.build(path=["a", "b"], lat=45.0, lon=[100.0, -100.0], time="2025-04-15T12:00:00")
    assert as_utc(noon).astype(str).tolist() == ["2025-04-15T05:20:00", "2025-04-15T18:40:00"]
    np.testing.assert_allclose(elevation(noon), 45 + 9.8, atol=0.4)
    midnight = Places.build(path="a", lat=45.0, lon=100.0, time=["2025-04-15T00:00:00"])
    assert elevation(midnight)[0] == pytest.approx(-45 + 9.7, abs=0.5)


def test_unknown_stays_unknown():
    assert np.isnan(elevation(Places.build(path=["a"], lat=45, lon=8)))
    assert np.isnan(elevation(Places.build(path=["a"], easting=1, northing=2, time="2025-04-15T00:00:00")))
