"""Where and when pictures are looked for: boxes of degrees to ask a server for, and what lies in the area itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.picture import Picture
from netvlad.maps.where import Spots, Where
from netvlad.types import Array, BoolArray

Box = tuple[float, float, float, float]  # west, south, east, north in degrees; west <= east
DEGREE = 110_500.0  # metres of a degree of latitude, at its shortest


class Shape(Protocol):
    """An area that is neither a circle nor a box."""

    def boxes(self) -> list[Box]:
        """Boxes that hold it."""

    def holds(self, lat: Array, lon: Array) -> BoolArray:
        """Which of N spots (degrees) lie in it, bool (N,)."""


@dataclass(frozen=True)
class Area:
    """A circle or a box with a span of time, or the span of time of `where` and another shape.

    Raises NetvladError for no area, and for more than one.
    """

    where: Where
    shape: Shape | None = None

    def __post_init__(self) -> None:
        given = sum(part is not None for part in (self.where.near, self.where.bbox, self.shape))
        if given != 1:
            ways = "--around 48.8566,2.3522,500m, --bbox W,S,E,N, --place-file FILE and --route FILE"
            raise NetvladError(f"{'no area is' if not given else 'several areas are'} given: one of {ways} is needed")

    def boxes(self) -> list[Box]:
        """The boxes that hold it."""
        return boxes_of(self.where) if self.shape is None else self.shape.boxes()

    def holds(self, pictures: Sequence[Picture]) -> BoolArray:
        """Which of N pictures lie in it and in the span of time, bool (N,)."""
        lat, lon = (np.array([getattr(picture, name) for picture in pictures], float) for name in ("lat", "lon"))
        times = np.array([picture.time.rstrip("Z")[:19] or "NaT" for picture in pictures], "datetime64[s]")
        inside = self.where.mask(Spots(lat, lon, times, planar=False))
        return inside if self.shape is None else inside & self.shape.holds(lat, lon)


def boxes_of(where: Where) -> list[Box]:
    """The boxes that hold a region; two where it spans the antimeridian."""
    if where.bbox is not None:
        west, south, east, north = where.bbox
        return [(west, south, east, north)] if west <= east else [(west, south, 180, north), (-180, south, east, north)]
    lat, lon, metres = where.near or (0.0, 0.0, 0.0)
    up = metres / DEGREE
    south, north = max(-90.0, lat - up), min(90.0, lat + up)
    narrowest = math.cos(math.radians(max(abs(south), abs(north))))
    aside = min(180.0, up / max(narrowest, 1e-9))
    return unwrapped(lon - aside, south, lon + aside, north)


def unwrapped(west: float, south: float, east: float, north: float) -> list[Box]:
    """The box from west to east, either of which may lie beyond the antimeridian: two boxes where one does."""
    west, east = float(west), float(east)
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    turn = 360 * math.floor((west + 180) / 360)  # from 180 on, longitudes begin anew
    west, east = west - turn, east - turn
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]


def quarters(box: Box) -> list[Box]:
    """The four quarters of a box."""
    west, south, east, north = box
    lon, lat = (west + east) / 2, (south + north) / 2
    return [(west, south, lon, lat), (lon, south, east, lat), (west, lat, lon, north), (lon, lat, east, north)]
