"""The answer to "where was this photo taken?"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netvlad.maps.confidence import ABSENT, DEEP, RIGHT, Calibration, evidence
from netvlad.maps.ground import from_best
from netvlad.maps.match import Match, match_of, position_of
from netvlad.places import Places, distance
from netvlad.types import FloatArray

PROBABLE = 0.5  # confidence from which on an answer is no guess


@dataclass(frozen=True)
class Location:
    """Where a photo was taken: the place of the best of its `matches`, of which there is at least one.

    confidence: probability that the photo was taken within `radius` metres of (lat, lon) or, in a map of labels, at the
    place of that label; absent: probability that its place is not in the map; both None where the index is not
    calibrated, for the reason in `uncalibrated`, or for such a best match. gps: latitude and longitude that the photo
    itself states, where these were used. calibration: what the probabilities come from, for those who put the matches
    in another order. Iterates over the matches.
    """

    query: str
    matches: list[Match]
    radius: float
    confidence: float | None
    absent: float | None
    gps: tuple[float, float] | None = None
    uncalibrated: str = ""
    calibration: Calibration | None = field(default=None, repr=False, compare=False)

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
    def verdict(self) -> str:
        """How firmly the answer may be told.

        "probable": confidence of one half or more; "guess": less; "absent": probably not in this map; "unknown": there
        is no confidence.
        """
        if self.confidence is None:
            return "unknown"
        if self.in_map is False:
            return "absent"
        return "probable" if self.confidence >= PROBABLE else "guess"

    @property
    def in_map(self) -> bool | None:
        """False when P(absent) > P(correct), None when unknown."""
        return None if self.absent is None or self.confidence is None else self.absent <= self.confidence

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: None for what is unknown."""
        return {
            "photo": self.query,
            **position_of(self.matches[0]),
            "radius": self.radius,
            "confidence": self.confidence,
            "absent": self.absent,
            "in_map": self.in_map,
            "verdict": self.verdict,
            "uncalibrated": self.uncalibrated or None,
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
    """A headline, no firmer than the confidence, and a sentence that may stand below it.

    planar: positions are told in metres.
    """
    where, kind = _where(location, planar), location.verdict
    if not where and (not location.matches or location.matches[0].located):
        return "no match was found", "Nothing in the map resembles this photo."
    if not where:
        return "at no known place", "The photos most like it have neither a position nor a label."
    apart = location.from_gps
    own = "" if apart is None else f"It is {apart:.0f} m from the position that the photo itself states."
    if location.confidence is None:
        why = f": {location.uncalibrated}" if location.uncalibrated else ""
        return f"a guess: {where}", f"How sure this is cannot be told{why}.{own and ' '}{own}"
    sure = f"confidence {location.confidence:.2f}"
    if kind == "absent":
        return "probably not in this map", f"The nearest place in it is {where}, {sure}.{own and ' '}{own}"
    return f"{'probably' if kind == 'probable' else 'a guess:'} {where}, {sure}", own


def _where(location: Location, planar: bool) -> str:
    """The place of an answer, "" for none."""
    north, east = (location.northing, location.easting) if planar else (location.lat, location.lon)
    if not np.isfinite([north, east]).all():
        return f"place {location.place}" if location.place else ""
    where = f"easting {east:.1f} m, northing {north:.1f} m" if planar else f"{north:.5f}, {east:.5f}"
    return f"within {location.radius:.0f} m of {where}"


def locate(
    query: str,
    places: Places,
    squared: FloatArray,
    radius: float,
    calibration: Calibration | None,
    top: int,
    uncalibrated: str = "",
) -> Location:
    """The Location of a ranking: `places` (k) with `squared` distances (k,), best first."""
    confidence = absent = None
    if calibration is not None and len(places) and is_known(places[:1], calibration):
        seen = evidence(squared[:DEEP], from_best(places[:DEEP], radius))  # as it was learnt, however many are shown
        probabilities = calibration.probabilities(seen[None])[0]
        confidence, absent = float(probabilities[RIGHT]), float(probabilities[ABSENT])
    matches = [match_of(places, i, squared[i]) for i in range(min(top, len(places)))]
    return Location(query, matches, radius, confidence, absent, uncalibrated=uncalibrated, calibration=calibration)


def is_known(best: Places, calibration: Calibration) -> bool:
    """Whether a calibration speaks of such a best match: of its position, or of its label."""
    located = bool(best.located[0])
    return not located and best.place[0] != "" if calibration.labels else located
