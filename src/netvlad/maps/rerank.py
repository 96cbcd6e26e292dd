"""Geometric verification of the matches behind an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netvlad.maps.location import Location
from netvlad.maps.match import Match
from netvlad.places.projection import ecef
from netvlad.runtime.progress import progress
from netvlad.search.rerank import RerankOptions, Verifier


def rerank_locations(locations: Sequence[Location], options: RerankOptions) -> list[Location]:
    """Sort the best matches of each location by their inliers, which the matches then hold.

    `confidence` and `absent` are those of the ranking before: both become None where the first match now lies farther
    than the radius from the first match before.
    """
    verifier, out = Verifier(options), []
    with progress("verify", len(locations)) as advance:
        for location in locations:
            best = location.matches[: options.best]
            inliers = verifier.inliers(location.query, [match.path for match in best])
            matches = [
                replace(best[row], inliers=int(inliers[row]) if inliers[row] >= 0 else None)
                for row in verifier.order(inliers, np.array([match.score for match in best], np.float32))
            ] + location.matches[options.best :]
            located = replace(location, matches=matches)
            if _metres(matches[0], location.matches[0]) > location.radius:
                located = replace(located, confidence=None, absent=None)
            out.append(located)
            advance(1)
    return out


def _metres(a: Match, b: Match) -> float:
    """Between two matches of one map; the chord, which is their distance as far as a radius reaches."""
    if np.isfinite([a.lat, b.lat]).all():
        first, second = ecef(np.array([a.lat, b.lat]), np.array([a.lon, b.lon]))
        return float(np.linalg.norm(first - second))
    return float(np.hypot(a.easting - b.easting, a.northing - b.northing))
