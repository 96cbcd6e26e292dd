"""Which photos of a map are asked: near a point, in a box, of a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.places import Places
from netvlad.places.projection import ecef
from netvlad.places.values import shown
from netvlad.types import Array, BoolArray


@dataclass(frozen=True)
class Where:
    """Conditions that all have to hold for a photo of the map to be found.

    near: latitude and longitude in degrees, and a distance in metres. bbox: west, south, east and north in degrees;
    west > east spans the antimeridian. after, before: the first moment and the end (excluded), as datetime64 or the
    beginning of ISO 8601: "2019" is its first second. Photos without a position are in no region, photos without a
    time in no span. Raises PlaceIndexError for impossible values.
    """

    near: tuple[float, float, float] | None = None
    bbox: tuple[float, float, float, float] | None = None
    after: np.datetime64 | str | None = None
    before: np.datetime64 | str | None = None

    def __post_init__(self) -> None:
        for name in ("after", "before"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _moment(name, value))
        if self.near is not None:
            lat, lon, metres = self.near
            _check(abs(lat) <= 90 and abs(lon) <= 180, "near", f"{lat}, {lon} is no latitude and longitude")
            _check(0 < metres < math.inf, "near", f"a distance must be more than 0 metres, got {metres}")
        if self.bbox is not None:
            west, south, east, north = self.bbox
            _check(max(abs(west), abs(east)) <= 180, "bbox", f"{west} or {east} is no longitude")
            _check(-90 <= south <= north <= 90, "bbox", f"{south} to {north} is no span of latitudes, south first")
        if self.after is not None and self.before is not None:
            _check(bool(self.after < self.before), "after", f"{self.after} is not before {self.before}")

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def mask(self, spots: Spots) -> BoolArray:
        """Which of N spots fulfil all conditions, bool (N,). Raises PlaceIndexError for a region of a planar map."""
        if (self.near or self.bbox) and spots.planar:
            raise PlaceIndexError("the map has no latitudes and longitudes, so there is no region of it to ask")
        inside = np.ones(len(spots.lat), bool)
        if self.near is not None:
            lat, lon, metres = self.near
            centre = ecef(np.array([lat]), np.array([lon]))
            inside &= np.linalg.norm(ecef(spots.lat, spots.lon) - centre, axis=1) <= metres
        if self.bbox is not None:
            west, south, east, north = self.bbox
            inside &= (spots.lat >= south) & (spots.lat <= north)
            in_west, in_east = spots.lon >= west, spots.lon <= east
            inside &= (in_west & in_east) if west <= east else (in_west | in_east)
        if self.after is not None:
            inside &= spots.time >= self.after
        if self.before is not None:
            inside &= spots.time < self.before
        return inside

    def reaches(self, box: tuple[float, float, float, float]) -> bool:
        """Whether photos within west, south, east and north (degrees, west <= east) may be in the region."""
        west, south, east, north = box
        if self.near is not None:
            low, high, aside = _around(*self.near)
            turns = [abs((west + east) / 2 - self.near[1] - turn) for turn in (-360, 0, 360)]
            if south > high or north < low or min(turns) > aside + (east - west) / 2:
                return False
        if self.bbox is not None:
            from_west, low, to_east, high = self.bbox
            in_west, in_east = east >= from_west, west <= to_east
            if (
                south > high
                or north < low
                or not ((in_west and in_east) if from_west <= to_east else in_west or in_east)
            ):
                return False
        return True

    def closer(self, lat: float, lon: float, metres: float) -> Where:
        """The same conditions, near a point. Only one point can be asked for."""
        _check(self.near is None, "near", "is given, and the photo's own position would be another point: choose one")
        return replace(self, near=(lat, lon, metres))


@dataclass(frozen=True)
class Spots:
    """What `Where` looks at of N photos: lat, lon (N,) float64, NaN unknown; time (N,) datetime64[s].

    planar: whether positions are metres in an unknown frame.
    """

    lat: Array
    lon: Array
    time: Array
    planar: bool

    @classmethod
    def of(cls, places: Places) -> Spots:
        """The spots of places."""
        return cls(places.lat, places.lon, places.time, not places.geodetic)


ALL = Where()
EQUATOR, SHARPEST = 6_378_137.0, 6_335_439.0  # metres: radius of the ellipsoid, and of its meridians at the least


def _around(lat: float, lon: float, metres: float) -> tuple[float, float, float]:
    """Latitudes from and to, and degrees of longitude to each side, beyond which no point is so near as a chord."""
    spare = 1e-6  # degrees, for rounding
    of_axis = EQUATOR * math.cos(math.radians(lat))  # no point at this latitude is closer to the axis
    aside = 180.0 if metres >= of_axis else math.degrees(math.asin(metres / of_axis)) + spare
    up = 180.0 if metres >= 2 * SHARPEST else math.degrees(2 * math.asin(metres / (2 * SHARPEST))) + spare
    return lat - up, lat + up, aside


def _moment(name: str, value: np.datetime64 | str) -> np.datetime64:
    try:
        moment: np.datetime64 = np.datetime64(value.strip() if isinstance(value, str) else value).astype(
            "datetime64[s]"
        )
    except ValueError:
        moment = np.datetime64("NaT")
    _check(not np.isnat(moment), name, f"{shown(str(value))} is no time; 2019, 2022-06 or 2022-06-01T12:00 would be")
    return moment


def _check(holds: bool, name: str, reason: str) -> None:
    if not holds:
        raise PlaceIndexError(f"{name}: {reason}")
