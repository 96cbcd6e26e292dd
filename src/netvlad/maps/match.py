"""A photo of the map that resembles the one that is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netvlad.places import Places


@dataclass(frozen=True)
class Credit:
    """What has to be told with a photo of somebody else: its licence, who took it, and a page that shows it."""

    licence: str
    credit: str
    link: str

    def __str__(self) -> str:
        return f"{self.credit or 'nobody named'}, {self.licence}, {self.link}"


@dataclass(frozen=True)
class Match:
    """A database photo: `distance` is L2 between descriptors (0..2), `score` its negative square.

    lat, lon: degrees, NaN in a planar map; easting, northing: metres, NaN for a photo without a position; utm: zone as
    an EPSG code, 0 for none; heading: degrees, NaN when unknown; time: NaT when unknown. inliers: local features that
    agree with the query on one geometry; None where the photo was not verified. place: the label of its place, "" none.
    credit: of a photo of somebody else, None for one that needs none.
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
    credit: Credit | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: None for what is unknown."""
        return {
            "path": self.path,
            **position_of(self),
            "heading": number(self.heading),
            "utm": self.utm or None,
            "time": _time(self.time) or None,
            "distance": self.distance,
            "score": self.score,
            "inliers": self.inliers,
            "place": self.place or None,
            "credit": None if self.credit is None else asdict(self.credit),
        }

    def to_text(self) -> str:
        """Distance, inliers, position, time and path in one line."""
        where = f"{self.easting:.1f} E, {self.northing:.1f} N" if self.planar else f"{self.lat:.6f}, {self.lon:.6f}"
        where = where if self.located else self.place or "no known place"
        inliers = "" if self.inliers is None else f"{self.inliers} inliers  "
        credit = "" if self.credit is None else f"  by {self.credit}"
        return f"distance {self.distance:.3f}  {inliers}{where}  {_time(self.time)}  {self.path}{credit}"

    @property
    def planar(self) -> bool:
        """Whether the map has no latitudes and longitudes."""
        return bool(np.isnan(self.lat))

    @property
    def located(self) -> bool:
        """Whether the photo has a position."""
        return bool(np.isfinite(self.easting))


def match_of(places: Places, row: int, squared: np.float32) -> Match:
    """The match of a row of `places`, at a squared distance."""
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


def position_of(match: Match) -> dict[str, float | None]:
    """Where it is, ready for JSON."""
    values = {"lat": match.lat, "lon": match.lon, "easting": match.easting, "northing": match.northing}
    return {name: number(value) for name, value in values.items()}


def number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _time(moment: np.datetime64) -> str:
    return "" if np.isnat(moment) else str(moment)
