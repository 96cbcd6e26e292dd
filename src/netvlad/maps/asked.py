"""Where and when to look, as people write it: on the command line and in the address of a request."""

from __future__ import annotations

import math
import re

from netvlad.errors import NetvladError
from netvlad.maps.where import Where
from netvlad.places.values import shown

_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(km|m)\s*")
_METRES = {"m": 1.0, "km": 1000.0}


def parse_where(near: str | None, bbox: str | None, after: str | None, before: str | None) -> Where:
    """The conditions that are asked for: near "LAT,LON,RADIUS" with a radius in m or km, bbox "W,S,E,N" in degrees,
    after and before as in `Where`. Raises NetvladError for what cannot be read.
    """
    return Where(
        near=None if near is None else _near(near),
        bbox=None if bbox is None else parse_bbox(bbox),
        after=after,
        before=before,
    )


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """West, south, east and north. Raises NetvladError."""
    box = _numbers("bbox", text.split(","), "W,S,E,N", 4)
    return box[0], box[1], box[2], box[3]


def _near(text: str) -> tuple[float, float, float]:
    *point, radius = text.split(",")
    lat, lon = _numbers("near", point, "LAT,LON,RADIUS", 2)
    found = _LENGTH.fullmatch(radius)
    if not found:
        raise NetvladError(f"near: {shown(radius)} is no distance; 2km or 500m would be")
    return lat, lon, float(found[1]) * _METRES[found[2]]


def _numbers(name: str, parts: list[str], form: str, n: int) -> list[float]:
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != n or not all(map(math.isfinite, numbers)):
        raise NetvladError(f"{name}: {shown(','.join(parts))} is not of the form {form}")
    return numbers
