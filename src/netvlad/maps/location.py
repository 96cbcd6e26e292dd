"""The answer to "where was this photo taken?"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from netvlad.maps.confidence import ABSENT, DEEP, RIGHT, Calibration, evidence
from netvlad.places import Places


@dataclass(frozen=True)
class Match:
    """A database photo: `distance` is L2 between descriptors (0..2), `score` its negative square.

    inliers: local features that agree with the query's on one geometry; None where that was not looked into.
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


@dataclass(frozen=True)
class Location:
    """Ranked `matches` and one answer: the place of the best match.

    confidence: probability that the photo was taken within `radius` metres of (lat, lon); absent: probability that
    its place is not in the map at all; both None where the index could not be calibrated.
    Iterating goes over the matches.
    """

    query: str
    matches: list[Match]
    radius: float
    confidence: float | None
    absent: float | None

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
    def in_map(self) -> bool | None:
        """False: more likely than that the answer is right is that the place is not in this map. None: not known."""
        return None if self.absent is None else self.absent <= self.confidence


def locate(
    query: str, places: Places, squared: np.ndarray, radius: float, calibration: Calibration | str, top: int
) -> Location:
    """The Location of a ranking: `places` (k) with `squared` distances (k,), best first."""
    confidence = absent = None
    if isinstance(calibration, Calibration):
        seen = evidence(squared[:DEEP], places.xyz[:DEEP], radius)  # as it was learnt, however many are shown
        probabilities = calibration.probabilities(seen[None])[0]
        confidence, absent = float(probabilities[RIGHT]), float(probabilities[ABSENT])
    matches = [
        Match(
            path=places.path[i],
            lat=float(places.lat[i]),
            lon=float(places.lon[i]),
            easting=float(places.easting[i]),
            northing=float(places.northing[i]),
            utm=int(places.utm[i]),
            heading=float(places.heading[i]),
            time=places.time[i],
            distance=float(np.sqrt(squared[i])),
            score=-float(squared[i]),
        )
        for i in range(min(top, len(places)))
    ]
    return Location(query, matches, radius, confidence, absent)
