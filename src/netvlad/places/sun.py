"""Where the sun stood when a photo was taken, and the one clock on which photos can be put in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netvlad.places.table import Places


def as_utc(places: Places) -> np.ndarray:
    """Times as UTC, datetime64[s] (N,); a wall clock is taken as local mean solar time, an hour off or so."""
    lead = np.where(np.isfinite(places.lon), places.lon, 0) * 240  # seconds: the sun takes 4 minutes a degree
    return np.where(places.is_utc, places.time, places.time - lead.astype("timedelta64[s]"))


def elevation(places: Places) -> np.ndarray:
    """Elevation of the sun's centre in degrees (N,), NaN where the position or the time is unknown.

    As exact as `sun_direction`, far below the hour that a wall clock may be off.
    """
    return np.degrees(np.arcsin(np.clip(sun_direction(as_utc(places), places.lat, places.lon)[..., 2], -1, 1)))


def sun_direction(utc: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) east, north, up to the sun's centre at times (datetime64) and places in degrees.

    The low-precision formulas of the Astronomical Almanac: 0.01 degrees between 1950 and 2050. NaT gives NaN.
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
