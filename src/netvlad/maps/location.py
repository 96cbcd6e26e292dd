"""The answer to "where was this photo taken?"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netvlad.maps.confidence import ABSENT, DEEP, RIGHT, Calibration, evidence
from netvlad.places import Places, distance
from netvlad.types import FloatArray


@dataclass(frozen=True)
class Match:
    """A database photo: `distance` is L2 between descriptors (0..2), `score` its negative square.

    lat, lon: degrees, NaN in a planar map; easting, northing: metres, NaN for a photo without a position; utm: zone as
    an EPSG code, 0 for none; heading: degrees, NaN when unknown; time: NaT when unknown. inliers: local features that
    agree with the query on one geometry; None where the photo was not verified. place: the label of its place, "" none.
    """

    path: str
    lat: float
    lon: float
    easting: float
    northing: float
    utm: int
    heading: float
    time: np.datetime64
    distance: float
    score: float
    inliers: int | None = None
    place: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: None for what is unknown."""
        return {
            "path": self.path,
            **_position(self),
            "heading": _number(self.heading),
            "utm": self.utm or None,
            "time": _time(self.time) or None,
            "distance": self.distance,
            "score": self.score,
            "inliers": self.inliers,
            "place": self.place or None,
        }

    def to_text(self) -> str:
        """Distance, inliers, position, time and path in one line."""
        where = f"{self.easting:.1f} E, {self.northing:.1f} N" if self.planar else f"{self.lat:.6f}, {self.lon:.6f}"
        where = where if self.located else self.place or "no known place"
        inliers = "" if self.inliers is None else f"{self.inliers} inliers  "
        return f"distance {self.distance:.3f}  {inliers}{where}  {_time(self.time)}  {self.path}"

    @property
    def planar(self) -> bool:
        """Whether the map has no latitudes and longitudes."""
        return bool(np.isnan(self.lat))

    @property
    def located(self) -> bool:
        """Whether the photo has a position."""
        return bool(np.isfinite(self.easting))


@dataclass(frozen=True)
class Location:
    """Where a photo was taken: the place of the best of its `matches`, of which there is at least one.

    confidence: probability that the photo was taken within `radius` metres of (lat, lon); absent: probability that
    its place is not in the map; both None where the index is not calibrated, or the best match has no position. gps:
    latitude and longitude that the photo itself states, where these were used. Iterates over the matches.
    """

    query: str
    matches: list[Match]
    radius: float
    confidence: float | None
    absent: float | None
    gps: tuple[float, float] | None = None

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @property
    def lat(self) -> float:
        return self.matches[0].lat

    @property
    def lon(self) -> float:
        return self.matches[0].lon

    @property
    def easting(self) -> float:
        return self.matches[0].easting

    @property
    def northing(self) -> float:
        return self.matches[0].northing

    @property
    def place(self) -> str:
        """The label of the place, "" for none."""
        return self.matches[0].place

    @property
    def from_gps(self) -> float | None:
        """Metres between the answer and the position that the photo itself states; None where it is not known."""
        if self.gps is None or not np.isfinite([self.lat, self.lon]).all():
            return None
        lat, lon = ([value] for value in self.gps)
        answer = Places.build(path="", lat=[self.lat], lon=[self.lon])
        return float(distance(answer, Places.build(path="", lat=lat, lon=lon))[0])

    @property
    def in_map(self) -> bool | None:
        """False when P(absent) > P(correct), None when unknown."""
        return None if self.absent is None or self.confidence is None else self.absent <= self.confidence

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: None for what is unknown."""
        return {
            "photo": self.query,
            **_position(self.matches[0]),
            "radius": self.radius,
            "confidence": self.confidence,
            "absent": self.absent,
            "in_map": self.in_map,
            "place": self.place or None,
            "from_gps": self.from_gps,
            "matches": [match.to_dict() for match in self.matches],
        }

    def to_text(self) -> str:
        """The answer in words and a line for each match."""
        lines = [self.query, *(f"  {part}" for part in answer_in_words(self, self.matches[0].planar) if part)]
        return "\n".join(lines + [f"  {i:2}. {match.to_text()}" for i, match in enumerate(self.matches, 1)])


@dataclass(frozen=True)
class Located:
    """The answers for several photos: `locations` of those that can be read, in order; `unreadable`: path -> reason."""

    locations: list[Location]
    unreadable: Mapping[str, str] = field(default_factory=dict)


def answer_in_words(location: Location, planar: bool = False) -> tuple[str, str]:
    """A headline and a sentence that may stand below it. planar: positions are told in metres."""
    north, east = (location.northing, location.easting) if planar else (location.lat, location.lon)
    if not np.isfinite([north, east]).all():
        return _without_position(location)
    where = f"easting {east:.1f} m, northing {north:.1f} m" if planar else f"{north:.5f}, {east:.5f}"
    where += f" within {location.radius:.0f} m"
    verified = any(match.inliers is not None for match in location.matches)
    unknown = "confidence unknown" if verified else "confidence unknown (the index is not calibrated)"
    sure = unknown if location.confidence is None else f"confidence {location.confidence:.2f}"
    apart = location.from_gps
    own = "" if apart is None else f"{apart:.0f} m from the position that the photo itself states"
    if location.in_map is False:
        return "probably not in this map", f"The nearest place in it is {where}, {sure}{own and ', '}{own}."
    return f"{where}, {sure}", f"It is {own}." if own else ""


def _without_position(location: Location) -> tuple[str, str]:
    """As `answer_in_words`, for a best match without a position."""
    best = location.matches[0] if location.matches else None
    if best and best.place:
        return f"place {best.place}", "The photo most like it has this label, and no position."
    if best is None or best.located:
        return "no match was found", "Nothing in the map resembles this photo."
    return "at no known place", "The photos most like it have neither a position nor a label."


def locate(
    query: str, places: Places, squared: FloatArray, radius: float, calibration: Calibration | None, top: int
) -> Location:
    """The Location of a ranking: `places` (k) with `squared` distances (k,), best first."""
    confidence = absent = None
    if calibration is not None and len(places) and places.located[0]:
        seen = evidence(squared[:DEEP], places.xyz[:DEEP], radius)  # as it was learnt, however many are shown
        probabilities = calibration.probabilities(seen[None])[0]
        confidence, absent = float(probabilities[RIGHT]), float(probabilities[ABSENT])
    matches = [_match(places, i, squared[i]) for i in range(min(top, len(places)))]
    return Location(query, matches, radius, confidence, absent)


def _match(places: Places, row: int, squared: np.float32) -> Match:
    return Match(
        path=places.path[row],
        lat=float(places.lat[row]),
        lon=float(places.lon[row]),
        easting=float(places.easting[row]),
        northing=float(places.northing[row]),
        utm=int(places.utm[row]),
        heading=float(places.heading[row]),
        time=places.time[row],
        distance=float(np.sqrt(squared)),
        score=-float(squared),
        place=places.place[row],
    )


def _position(match: Match) -> dict[str, float | None]:
    values = {"lat": match.lat, "lon": match.lon, "easting": match.easting, "northing": match.northing}
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _time(moment: np.datetime64) -> str:
    return "" if np.isnat(moment) else str(moment)
