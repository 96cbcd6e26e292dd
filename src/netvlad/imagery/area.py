"""Boxes of degrees to ask a server for, and the pictures that lie where they were asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.picture import Picture
from netvlad.maps.where import Spots, Where
from netvlad.types import BoolArray

Box = tuple[float, float, float, float]  # west, south, east, north in degrees; west <= east
DEGREE = 110_500.0  # metres of a degree of latitude, at its shortest


def boxes_of(where: Where) -> list[Box]:
    """The boxes that hold a region; two where it spans the antimeridian. Raises NetvladError for no region."""
    if where.near is None and where.bbox is None:
        raise NetvladError("no area is given: --around 48.8566,2.3522,500m or --bbox W,S,E,N would be one")
    if where.bbox is not None:
        west, south, east, north = where.bbox
        return [(west, south, east, north)] if west <= east else [(west, south, 180, north), (-180, south, east, north)]
    lat, lon, metres = where.near or (0.0, 0.0, 0.0)
    up = metres / DEGREE
    south, north = max(-90.0, lat - up), min(90.0, lat + up)
    narrowest = math.cos(math.radians(max(abs(south), abs(north))))
    aside = min(180.0, up / max(narrowest, 1e-9))
    if aside == 180:
        return [(-180, south, 180, north)]
    west, east = lon - aside, lon + aside
    if west < -180:
        return [(west + 360, south, 180, north), (-180, south, east, north)]
    if east > 180:
        return [(west, south, 180, north), (-180, south, east - 360, north)]
    return [(west, south, east, north)]


def quarters(box: Box) -> list[Box]:
    """The four quarters of a box."""
    west, south, east, north = box
    lon, lat = (west + east) / 2, (south + north) / 2
    return [(west, south, lon, lat), (lon, south, east, lat), (west, lat, lon, north), (lon, lat, east, north)]


def within(pictures: Sequence[Picture], where: Where) -> BoolArray:
    """Which of N pictures lie in the region and the span of time, bool (N,)."""
    lat, lon = (np.array([getattr(picture, name) for picture in pictures]) for name in ("lat", "lon"))
    times = np.array([picture.time.rstrip("Z")[:19] or "NaT" for picture in pictures], "datetime64[s]")
    return where.mask(Spots(lat, lon, times, planar=False))
