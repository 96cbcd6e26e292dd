"""Answers that came as JSON, as a server sends them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.maps.location import Location
from netvlad.maps.match import Credit, Match


def location_from_dict(answer: dict[str, Any]) -> Location:
    """The Location whose `to_dict` gave `answer`; what `answer` has besides is ignored.

    The position that a photo states itself is not part of it. Raises PlaceIndexError for what is no answer.
    """
    try:
        matches = [_match(match) for match in answer["matches"]]
        if not matches:
            raise ValueError("no match")
        sure, absent, why = answer["confidence"], answer["absent"], answer["uncalibrated"] or ""
        return Location(answer["photo"], matches, float(answer["radius"]), sure, absent, uncalibrated=why)
    except (KeyError, TypeError, ValueError) as e:
        raise PlaceIndexError(f"is no answer of this version ({type(e).__name__}: {e})") from e


def _match(match: dict[str, Any]) -> Match:
    return Match(
        path=match["path"],
        lat=_number(match["lat"]),
        lon=_number(match["lon"]),
        easting=_number(match["easting"]),
        northing=_number(match["northing"]),
        utm=match["utm"] or 0,
        heading=_number(match["heading"]),
        time=np.datetime64(match["time"] or "NaT", "s"),
        distance=float(match["distance"]),
        score=float(match["score"]),
        inliers=match["inliers"],
        place=match["place"] or "",
        credit=Credit(**match["credit"]) if match.get("credit") else None,  # servers of before send none
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
