"""Evaluation by mean average precision, the measure of image retrieval: the whole database is ranked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks import Benchmark, Split
from netvlad.errors import ImageError, NetvladError
from netvlad.evaluation.average_precision import average_precision, precision_at, ranks_of
from netvlad.evaluation.run import Ranked, environment, rank_each, timed
from netvlad.images.read import read_image
from netvlad.types import Array, BoolArray, FloatArray, IntArray, Ranker, Ranking

KS = (1, 5, 10)


@dataclass(frozen=True)
class RetrievalMethod:
    """Score of one method.

    precision (Q,): average precision of each query, NaN where it is not judged. mean: over the judged ones, 0..1.
    mean_at: k -> mP@k. seconds, dim: as in `MethodResult`.
    """

    name: str
    precision: FloatArray
    mean: float
    mean_at: Mapping[int, float]
    seconds: Mapping[str, float]
    dim: int | None = None


@dataclass(frozen=True)
class Retrieval:
    """Results of every method on one retrieval benchmark.

    judged (Q,) bool: queries in the mean. cropped: whether queries were cropped to their region of interest.
    unreadable, config: as in `Evaluation`.
    """

    benchmark: Benchmark
    split: Split
    methods: list[RetrievalMethod]
    judged: BoolArray
    cropped: bool
    unreadable: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


class PrecisionJudge:
    """Judges rankings of the whole database by average precision.

    crop: queries are cropped to their region of interest, where they have one; the rankers must do so (`Cropping`).
    Raises NetvladError where the split lists no positives.
    """

    def __init__(self, benchmark: Benchmark, split: Split, *, crop: bool = True) -> None:
        if split.positives is None:
            raise NetvladError(f"{benchmark.name} lists no right photos: average precision has nothing to go by")
        self.benchmark, self.split, self.positives = benchmark, split, split.positives
        self.cropped = crop and split.roi is not None

    def rank(self, ranker: Ranker) -> Ranked:
        """Rank the whole database for every query."""
        return Ranked(timed(ranker, self.split.queries.path.tolist(), len(self.split.database)), ranker.dim)

    def result(self, rankings: Mapping[str, Ranked], config: Mapping[str, Any] | None = None) -> Retrieval:
        """Judge what `rank` returned, name -> ranking. A query that one ranker cannot read is judged for none."""
        unreadable = {path: why for ranked in rankings.values() for path, why in ranked.ranking.unreadable.items()}
        readable = np.array([path not in unreadable for path in self.split.queries.path], bool)
        counts = np.array([self._count(query) for query in range(len(self.positives))])
        judged = readable & ((counts > 0) | (self.benchmark.protocol.unmatched == "keep"))
        methods = [self._method(name, ranked, counts, judged) for name, ranked in rankings.items()]
        config = {**(config or {}), "environment": environment()}
        return Retrieval(self.benchmark, self.split, methods, judged, self.cropped, unreadable, config)

    def _method(self, name: str, ranked: Ranked, counts: IntArray, judged: BoolArray) -> RetrievalMethod:
        ids = ranked.ranking.ids
        ranks = [ranks_of(ids[q], right, self._junk(q)) for q, right in enumerate(self.positives)]
        precision = np.array([average_precision(r, n) if n else 0.0 for r, n in zip(ranks, counts, strict=True)])
        precision = np.where(judged, precision, np.nan)
        at = {k: np.array([precision_at(r, k) for r in ranks]) for k in KS}
        mean_at = {k: _mean(values[judged]) for k, values in at.items()}
        seconds = dict(ranked.ranking.seconds)
        return RetrievalMethod(name, precision, _mean(precision[judged]), mean_at, seconds, ranked.dim)

    def _junk(self, query: int) -> IntArray | None:
        return None if self.split.junk is None else self.split.junk[query]

    def _count(self, query: int) -> int:
        """Number of positives that are no junk."""
        positives, junk = np.unique(self.positives[query]), self._junk(query)
        return len(positives if junk is None else np.setdiff1d(positives, junk))


def evaluate_retrieval(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]],
    benchmark: Benchmark,
    split: Split,
    config: Mapping[str, Any] | None = None,
    *,
    crop: bool = True,
) -> Retrieval:
    """Let each ranker, built from `split.database`, rank all of it for each query, and judge by average precision.

    rankers: as for `evaluate`. The rest, and errors, as for `PrecisionJudge`.
    """
    judge = PrecisionJudge(benchmark, split, crop=crop)
    return judge.result(rank_each(rankers, judge.rank), config)


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


class Cropping:
    """`ranker`, which gets queries cropped to their regions of interest; itself a ranker.

    roi (Q, 4): left, top, right, bottom in pixels of each of `queries` as it is decoded, upright; parts beyond the edge
    are cut off. Crops are PNG files in a temporary folder.
    """

    def __init__(self, ranker: Ranker, queries: Sequence[str], roi: Array) -> None:
        self.ranker, self.queries, self.roi = ranker, list(queries), roi
        self.name, self.dim = ranker.name, ranker.dim

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank for cropped queries. `photos` are all queries in their order; one photo may occur twice.

        Raises NetvladError for other photos.
        """
        if list(photos) != self.queries:
            raise NetvladError("regions of interest are known for the queries in their order; ask for those")
        unreadable: dict[str, str] = {}
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, f"{i:05d}.png") for i in range(len(photos))]
            for i, (photo, path) in enumerate(zip(photos, paths, strict=True)):
                try:
                    _write_crop(photo, self.roi[i], path)
                except ImageError as e:
                    unreadable[photo] = e.reason
            found = self.ranker.rank(paths, k)
            named = dict(zip(paths, photos, strict=True))
        for path, reason in found.unreadable.items():
            unreadable.setdefault(named.get(path, path), reason)
        return replace(found, unreadable=unreadable)


def _write_crop(photo: str, roi: Array, path: str | Path) -> None:
    from PIL import Image

    image = read_image(photo)
    height, width = image.shape[:2]
    left, top, right, bottom = np.clip(np.round(roi), 0, (width, height, width, height)).astype(int)
    if right <= left or bottom <= top:
        box = ", ".join(f"{x:g}" for x in roi)
        raise ImageError(f"region of interest {box} holds nothing of its {width}x{height} pixels", path=photo)
    Image.fromarray(image[top:bottom, left:right]).save(path, compress_level=1)
