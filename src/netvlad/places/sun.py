"""Solar time and the elevation of the sun at the place and time of a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netvlad.types import Array

if TYPE_CHECKING:
    from netvlad.places.table import Places


def solar_offset(places: Places) -> Array:
    """Local mean solar time minus UTC, timedelta64[s] (N,): 4 minutes a degree of longitude; 0 without longitude."""
    return (np.where(np.isfinite(places.lon), places.lon, 0) * 240).astype("timedelta64[s]")


def as_utc(places: Places) -> Array:
    """Times as UTC, datetime64[s] (N,). A wall clock is taken for local mean solar time, which is about an hour off."""
    return np.where(places.is_utc, places.time, places.time - solar_offset(places))


def elevation(places: Places) -> Array:
    """Elevation of the sun's centre in degrees (N,), NaN where the position or the time is unknown.

    Its error is that of the clock: about an hour where the time is a wall clock's.
    """
    up = sun_direction(as_utc(places), places.lat, places.lon)[..., 2]
    return np.asarray(np.degrees(np.arcsin(np.clip(up, -1, 1))))


def sun_direction(utc: Array, lat: Array, lon: Array) -> Array:
    """Unit vectors (..., 3) (east, north, up) towards the sun at times (datetime64, UTC) and positions in degrees.

    Low-precision formulas of the Astronomical Almanac: 0.01 degrees between 1950 and 2050. NaN for NaT.
    """
    days = (utc - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "D")  # NaT becomes NaN
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 0.0000004 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(tilt) * np.sin(longitude))
    sidereal = np.radians(280.46062 + 360.98564737 * days + lon)
    phi, hour = np.radians(lat), sidereal - ascension
    return np.stack(
        [
            -np.cos(declination) * np.sin(hour),
            np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour),
            np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour),
        ],
        axis=-1,
    )
