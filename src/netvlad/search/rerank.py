"""Geometric verification of a ranking: its best photos are matched with the query and sorted by their inliers.

XFeat finds inliers between photos of different places that look alike, too. So they are weighed against the ranker's
scores, and where no photo has many, the ranking stays as it is (docs/results/reranking.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netvlad.errors import ImageError, NetvladError
from netvlad.features.local_features import LocalFeatures, best_kind, kind_of
from netvlad.features.store import FeatureStore
from netvlad.features.verification import LEAST, least_of, verify
from netvlad.runtime.progress import progress
from netvlad.types import FloatArray, IntArray, Ranker, Ranking

WEIGHED = ("xfeat",)  # kinds whose inliers are weighed against the ranker's scores
CHANCE, WEIGHT, MANY = 10, 1.5, 20  # of `weigh`; any values near them do as well on the photos they were chosen on


@dataclass(frozen=True)
class RerankOptions:
    """How rankings are verified.

    best: number of photos of a ranking that are. kind: of local features, as `local_features` takes it; by default
    xfeat where its weights are installed, else rootsift. model: the geometry, as `verify` takes it. least: fewer
    inliers than this occur by chance between photos of different places and count as none (default: 12, fundamental
    20; xfeat 10). budget: seconds after which no further photo is verified for a query, features included; the first
    always is. Raises NetvladError for a wrong value.
    """

    best: int = 20
    kind: str = field(default_factory=best_kind)
    model: str = "homography"
    least: int | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        kind_of(self.kind).detector(1)  # an OpenCV that lacks it says so now
        least_of(self.model)
        if self.best < 1:
            raise NetvladError(f"at least 1 photo of a ranking must be verified, got best={self.best}")
        if self.budget is not None and not self.budget > 0:
            raise NetvladError(f"the time for a query must be more than 0 seconds, got {self.budget}")


class Verifier:
    """Counts the inliers between a query and photos. cache: a folder that keeps local features.

    `unreadable`: path -> reason, of photos met so far.
    """

    def __init__(self, options: RerankOptions, cache: str | os.PathLike[str] | None = None) -> None:
        self.options = options
        self.features = FeatureStore(options.kind, folder=cache)
        self.unreadable: dict[str, str] = {}

    def inliers(self, query: str, photos: Sequence[str | None]) -> IntArray:
        """Inliers (n,) of the query with each of `photos`.

        -1 where a photo was not verified: for None, for an unreadable one, and when the time for the query is up.
        """
        start = time.perf_counter()
        found = np.full(len(photos), -1, np.int64)
        asked = None if all(photo is None for photo in photos) else self._features(query)
        if asked is None:
            return found
        for i, photo in enumerate(photos):
            held = None if photo is None else self._features(photo)
            if held is not None:
                found[i] = len(verify(asked, held, self.options.model))
            if self.options.budget is not None and time.perf_counter() - start >= self.options.budget:
                break
        return found

    def order(self, inliers: IntArray, scores: FloatArray) -> IntArray:
        """Positions of photos with so many `inliers` (n,) and a ranker's `scores` (n,), best first.

        Chance and ties keep the order.
        """
        kind, model, least = self.options.kind, self.options.model, self.options.least
        if kind in WEIGHED:
            value = weigh(inliers, scores, CHANCE if least is None else least)
        else:
            value = np.where(inliers < (LEAST[model] if least is None else least), 0, inliers)
        return np.argsort(-value, kind="stable")

    def _features(self, path: str) -> LocalFeatures | None:
        if path in self.unreadable:
            return None
        try:
            return self.features.of(path)
        except ImageError as e:
            self.unreadable[path] = e.reason
            return None


def weigh(inliers: IntArray, scores: FloatArray, chance: int = CHANCE) -> FloatArray:
    """Values (n,) of photos: a ranker's `scores` (n,), scaled to 0..1, plus 1.5 log(1 + inliers beyond chance / 20).

    So 20 inliers more than `chance` are worth as much as the way from the last of the photos to the first, whatever
    scores the ranker gives. -inf, no photo, stays.
    """
    held = scores[np.isfinite(scores)]
    low, high = (held.min(), held.max()) if len(held) else (0.0, 0.0)
    scaled = (scores.astype(np.float64) - low) / (float(high - low) or 1.0)
    return np.asarray(scaled + WEIGHT * np.log1p(np.maximum(inliers - chance, 0) / MANY))


@dataclass(frozen=True, eq=False)
class VerifiedRanking(Ranking):
    """A ranking with the `inliers` (Q, best) int64 of the photos in ids[:, :best], -1 where a photo was not verified:
    no time was left, there is no such photo, or it is unreadable."""

    inliers: IntArray = field(kw_only=True)


class Reranker:
    """`ranker`, the best photos of each of its rankings sorted by their inliers; itself a ranker.

    photos: the database, in the order of the ids. cache: a folder that keeps local features.
    Photos that are not verified count as those without inliers; what the rule takes for equal keeps its order.
    """

    def __init__(
        self,
        ranker: Ranker,
        photos: Sequence[str],
        options: RerankOptions | None = None,
        *,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        self.ranker, self.photos, self.options = ranker, photos, options or RerankOptions()
        self.name, self.dim = f"{ranker.name} + rerank", ranker.dim
        self.verifier = Verifier(self.options, cache)

    def rank(self, photos: Sequence[str], k: int) -> VerifiedRanking:
        """Rank, verify and sort.

        A score belongs to the place in the ranking: it is what the ranker gave to the photo that stood there, so that
        scores fall from first to last and compare with those beyond `best`. What a photo gained is in `inliers`.
        """
        best = self.options.best
        found = self.ranker.rank(photos, max(k, best))
        start = time.perf_counter()
        ids, inliers = found.ids.copy(), np.full((len(photos), best), -1, np.int64)
        with progress(f"{self.name}: verify", len(photos), "queries") as advance:
            for query, row, counts, given in zip(photos, ids[:, :best], inliers, found.scores[:, :best], strict=True):
                count = self.verifier.inliers(query, [None if i < 0 else self.photos[i] for i in row])
                order = self.verifier.order(count, given)
                row[:], counts[: len(row)] = row[order], count[order]
                advance(1)
        seconds = {**found.seconds, "verify queries": time.perf_counter() - start}
        unreadable = {**self.verifier.unreadable, **found.unreadable}
        return VerifiedRanking(ids[:, :k], found.scores[:, :k], seconds, unreadable, inliers=inliers)
