"""One of the regions that a map is cut into: its photos, and the box that they lie in."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netvlad.places import Places
from netvlad.types import IntArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shard:
    """name: of its folder, a map by itself. map_id, version, photos: of its table, when it was written.

    bounds: west, south, east and north of its photos in degrees; None where none of them has a latitude.
    """

    name: str
    map_id: str
    version: int
    photos: int
    bounds: Box | None

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Shard:
        """What `to_dict` gave. Raises ValueError for anything else."""
        try:
            name, map_id, version, photos, bounds = (data[key] for key in cls.__dataclass_fields__)
            box = None if bounds is None else [float(number) for number in bounds]
        except (KeyError, TypeError, ValueError) as e:
            raise ValueError(f"has a shard that lacks or garbles an entry ({type(e).__name__}: {e})") from e
        texts = isinstance(name, str) and isinstance(map_id, str) and "/" not in name and "\\" not in name
        numbers = type(version) is int and type(photos) is int and photos >= 0
        if not texts or not name.strip(".") or not numbers or (box is not None and not _is_box(box)):
            raise ValueError("has a shard whose name, version, photos or bounds are impossible")
        return cls(name, map_id, version, photos, None if box is None else (box[0], box[1], box[2], box[3]))


def _is_box(box: list[float]) -> bool:
    return len(box) == 4 and all(map(math.isfinite, box)) and box[0] <= box[2] and box[1] <= box[3]


def bounds_of(places: Places) -> Box | None:
    """West, south, east and north of those with a latitude, None where there are none."""
    known = np.isfinite(places.lat) & np.isfinite(places.lon)
    if not known.any():
        return None
    lat, lon = places.lat[known], places.lon[known]
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def regions(places: Places, shards: int) -> list[IntArray]:
    """Cut into regions of equal numbers of places: ascending rows of each.

    Every region is cut in two along its longer side. Places without a position are in one of the last.
    """
    north, east = (places.lat, places.lon) if places.geodetic else (places.northing, places.easting)
    shrunk = np.cos(np.radians(np.nanmean(north))) if places.geodetic and np.isfinite(north).any() else 1.0
    return _cut(np.stack([north, east * shrunk], axis=1), np.arange(len(places)), shards)


def _cut(points: np.ndarray[Any, Any], rows: IntArray, shards: int) -> list[IntArray]:
    if shards == 1:
        return [np.sort(rows)]
    within = points[rows]
    known = within[np.isfinite(within).all(axis=1)]
    axis = int(np.argmax(np.ptp(known, axis=0))) if len(known) else 0
    ordered = rows[np.argsort(within[:, axis], kind="stable")]  # NaN last
    first = shards // 2
    at = len(rows) * first // shards
    return _cut(points, ordered[:at], first) + _cut(points, ordered[at:], shards - first)
