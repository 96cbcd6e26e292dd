"""A ranking put in order by geometry: its best photos are held against the query, feature by feature."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netvlad.errors import ImageError, NetvladError
from netvlad.features.store import FeatureStore
from netvlad.features.verification import LEAST, least_of, verify
from netvlad.maps.location import Location, Match
from netvlad.places.projection import ecef
from netvlad.runtime.progress import progress
from netvlad.types import Ranker, Ranking


class Reranker:
    """`ranker`, whose `best` first photos of each query are put in the order of their inliers; itself a ranker.

    database_paths: photo of each id that `ranker` gives. kind, model: as `local_features` and `verify` take them.
    least: fewer inliers than this are what photos of different places have by chance, and count as none (default: 12,
    fundamental 20). budget: seconds after which no further photo is verified for a query, features included; the first
    always is. cache: a folder that keeps the features; `options`: the others of FeatureStore.

    Photos with as many inliers, and all those without any or not verified, keep their order among each other.
    After `rank`, `inliers` (Q, best) int64 tells those of the photos in ids[:, :best], a further sign of confidence: -1
    where not verified (no time was left, no such photo, unreadable).
    """

    def __init__(
        self,
        ranker: Ranker | None,
        database_paths: Sequence[str],
        *,
        kind: str = "rootsift",
        model: str = "homography",
        best: int = 20,
        least: int | None = None,
        budget: float | None = None,
        cache=None,
        **options,
    ):
        least_of(model)
        if best < 1:
            raise NetvladError(f"at least 1 photo of a ranking must be verified, got best={best}")
        if budget is not None and not budget > 0:
            raise NetvladError(f"the time for a query must be more than 0 seconds, got {budget}")
        self.ranker, self.paths = ranker, list(database_paths)
        if ranker is not None:
            self.name, self.dim = f"{ranker.name} + rerank", ranker.dim
        self.model, self.best, self.budget = model, best, budget
        self.least = LEAST[model] if least is None else least
        self.features = FeatureStore(kind, folder=cache, **options)
        self.inliers = np.empty((0, best), np.int64)
        self._unreadable: dict[str, str] = {}

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank as the ranker does, the best by their inliers.

        A score is that of the place in the ranking, what the ranker gave to the photo that stood there: scores fall
        from first to last, and those beyond `best` compare with them as ever. What a photo gained is in `inliers`.
        """
        found = self.ranker.rank(photos, max(k, self.best))
        start = time.perf_counter()
        ids, counts = found.ids.copy(), np.full((len(photos), self.best), -1, np.int64)
        head = ids[:, : self.best]
        with progress(f"{self.name}: verify", len(photos), "queries") as advance:
            for query, row, inliers in zip(photos, head, counts, strict=True):
                self._verify(query, row, inliers[: len(row)])
                order = self._order(inliers[: len(row)])
                row[:], inliers[: len(row)] = row[order], inliers[order]
                advance(1)
        self.inliers = counts
        seconds = {**found.seconds, "verify queries": time.perf_counter() - start}
        return Ranking(ids[:, :k], found.scores[:, :k], seconds, {**self._unreadable, **found.unreadable})

    def _order(self, inliers: np.ndarray) -> np.ndarray:
        """Of photos with so many `inliers` (n,), best first."""
        return np.argsort(-np.where(inliers < self.least, 0, inliers), kind="stable")

    def _verify(self, query: str, ids: np.ndarray, inliers: np.ndarray) -> None:
        """Write into `inliers` (n,) those of the query with each of the photos `ids` (n,), as far as time goes."""
        start = time.perf_counter()
        if (ids < 0).all():
            return
        asked = self._features(query)
        if asked is None:
            return
        for i, photo in enumerate(ids):
            held = None if photo < 0 else self._features(self.paths[photo])
            if held is not None:
                inliers[i] = len(verify(asked, held, self.model))
            if self.budget is not None and time.perf_counter() - start >= self.budget:
                return

    def _features(self, path: str):
        if path in self._unreadable:
            return None
        try:
            return self.features.of(path)
        except ImageError as e:
            self._unreadable[path] = str(e).removeprefix(f"{path}: ")
            return None


def rerank_locations(locations: Sequence[Location], best: int, **options) -> list[Location]:
    """Each location with its `best` first matches in the order of their inliers, which the matches then tell.

    options: as for Reranker. Confidence is that of the ranking before: where the first match now lies farther than the
    radius from the one that it was told of, it is None, and so is `absent`.
    """
    reranker, out = Reranker(None, [], best=best, **options), []
    with progress("verify", len(locations)) as advance:
        for location in locations:
            reranker.paths = [match.path for match in location.matches]
            inliers = np.full(len(location.matches[:best]), -1)
            reranker._verify(location.query, np.arange(len(inliers)), inliers)
            matches = list(location.matches)
            for place, row in enumerate(reranker._order(inliers)):
                known = int(inliers[row]) if inliers[row] >= 0 else None
                matches[place] = replace(location.matches[row], inliers=known)
            moved = _metres(matches[0], location.matches[0]) > location.radius
            unknown = {"confidence": None, "absent": None} if moved else {}
            out.append(replace(location, matches=matches, **unknown))
            advance(1)
    return out


def _metres(a: Match, b: Match) -> float:
    """Between two matches of one map; the chord, which is their distance as far as a radius reaches."""
    if np.isfinite([a.lat, b.lat]).all():
        return float(np.linalg.norm(ecef(a.lat, a.lon) - ecef(b.lat, b.lon)))
    return float(np.hypot(a.easting - b.easting, a.northing - b.northing))


class Remembering:
    """A ranker that answers from memory what it was asked before, for whoever ranks the same queries in two ways."""

    def __init__(self, ranker: Ranker) -> None:
        self.ranker = ranker
        self.name, self.dim = ranker.name, ranker.dim
        self._answers: dict[tuple, Ranking] = {}

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        asked = (k, *photos)
        if asked not in self._answers:
            self._answers[asked] = self.ranker.rank(photos, k)
        return self._answers[asked]
