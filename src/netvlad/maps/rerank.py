"""Geometric verification of the matches behind an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netvlad.maps.confidence import ABSENT, RIGHT, WRONG, evidence
from netvlad.maps.ground import from_best
from netvlad.maps.location import Location, is_known
from netvlad.maps.match import Match
from netvlad.places import Places
from netvlad.runtime.progress import progress
from netvlad.search.rerank import CHANCE, MANY, RerankOptions, Verifier
from netvlad.types import FloatArray

# What inliers of XFeat say of an answer, learnt on other photos (docs/confidence.md): how much of the logarithm of what
# was known before counts, and what is added to it for each outcome.
BEFORE = 0.7
SAYS = {RIGHT: 0.0, WRONG: -0.7, ABSENT: -3.5}


def rerank_locations(locations: Sequence[Location], options: RerankOptions) -> list[Location]:
    """Sort the best matches of each location by their inliers, which the matches then hold.

    `confidence` and `absent` are those of the first match as it is then. With XFeat its inliers enter them; of other
    features it is not known what they say, so both stay where the answer is of the same place, and become None where it
    is another. Locations with fewer than `netvlad.maps.confidence.DEEP` matches tell less of a new first one.
    """
    verifier, out = Verifier(options), []
    with progress("verify", len(locations)) as advance:
        for location in locations:
            best = location.matches[: options.best]
            inliers = verifier.inliers(location.query, [match.path for match in best])
            order = verifier.order(inliers, np.array([match.score for match in best], np.float32))
            counted = [
                replace(match, inliers=int(n) if n >= 0 else None) for match, n in zip(best, inliers, strict=True)
            ]
            matches = [counted[row] for row in order] + location.matches[options.best :]
            known = _probabilities(location, int(order[0]), matches[0].inliers, options.kind)
            confidence, absent = (None, None) if known is None else (float(known[RIGHT]), float(known[ABSENT]))
            out.append(replace(location, matches=matches, confidence=confidence, absent=absent))
            advance(1)
    return out


def weighed_by_inliers(before: FloatArray, inliers: int) -> FloatArray:
    """Probabilities (3,) of right, wrong and absent of an answer with so many inliers of XFeat, given those `before`.

    Up to `CHANCE` inliers occur between photos of different places; many rule out that the place is not in the map.
    """
    beyond = np.log1p(max(inliers - CHANCE, 0) / MANY)
    says = np.array([SAYS[outcome] for outcome in (RIGHT, WRONG, ABSENT)])
    value = BEFORE * np.log(np.maximum(before, 1e-9)) + says * beyond
    likely = np.exp(value - value.max())
    return np.asarray(likely / likely.sum())


def _probabilities(location: Location, row: int, inliers: int | None, kind: str) -> FloatArray | None:
    """Probabilities (3,) of right, wrong and absent where match `row` of a location is the answer; None unknown."""
    matches = [location.matches[row], *location.matches[:row], *location.matches[row + 1 :]]
    places = _places(matches)
    apart = from_best(places, location.radius)
    same = not row or bool(apart[1] <= 1)
    known = None
    if same and location.confidence is not None and location.absent is not None:
        known = np.array([location.confidence, 1 - location.confidence - location.absent, location.absent])
    if kind != "xfeat":
        return known
    if known is None and location.calibration is not None and is_known(places[:1], location.calibration):
        squared = np.array([-match.score for match in matches])
        known = location.calibration.probabilities(evidence(squared, apart)[None])[0]
    return known if known is None or inliers is None else weighed_by_inliers(known, inliers)


def _places(matches: Sequence[Match]) -> Places:
    """The places of matches of one map."""
    path, place = [match.path for match in matches], [match.place for match in matches]
    if all(match.planar for match in matches):
        easting, northing = [match.easting for match in matches], [match.northing for match in matches]
        return Places.build(path=path, easting=easting, northing=northing, place=place)
    return Places.build(
        path=path, lat=[match.lat for match in matches], lon=[match.lon for match in matches], place=place
    )
