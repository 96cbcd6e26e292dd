"""Rankers for evaluations: vectors of photos in memory, and their first numbers alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.places import Neighbours
from netvlad.search.distinctive import distinctive_vectors
from netvlad.search.flat_index import rank_vectors
from netvlad.types import Describer, FloatArray, IntArray, Ranking

if TYPE_CHECKING:
    from netvlad.describe.stream import Describing

BLOCK = 4096  # vectors that are cropped together


@dataclass(frozen=True, eq=False)
class Described:
    """Photos and their vectors (N, dim) float32. reasons: row -> why it cannot be read; seconds: stage -> seconds."""

    photos: Sequence[str]
    vectors: FloatArray
    reasons: Mapping[int, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def unreadable(self) -> dict[str, str]:
        return {self.photos[row]: reason for row, reason in self.reasons.items()}


class MemoryRanker:
    """Exact L2 search over the vectors of `photos` by `describer`, which are described on construction.

    near: the photos that may show the place of each photo; where given, vectors are replaced by what is distinctive
    of them (`distinctive_vectors`). describing: what describes in the place of this machine.
    """

    def __init__(
        self,
        describer: Describer,
        photos: Sequence[str],
        *,
        near: Neighbours | None = None,
        workers: int | None = None,
        describing: Describing | None = None,
    ) -> None:
        import faiss

        self.describer = describer
        self.name, self.dim = describer.name, describer.dim
        self.workers, self._describing = workers, describing
        database = self.describe(photos, "describe database")
        self._unreadable, self._seconds = database.unreadable, dict(database.seconds)
        vectors = database.vectors
        if near is not None:
            start = time.perf_counter()
            vectors = distinctive_vectors(vectors, near)  # unreadable photos are zeros, which explain nothing
            self._seconds["distinctive database"] = time.perf_counter() - start
        self.rows = np.delete(np.arange(len(photos)), list(database.reasons))
        self.index = faiss.IndexFlatL2(self.dim)
        # faiss copies the vectors: a third copy would be too many
        self.index.add(vectors[self.rows] if database.reasons else vectors)

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank by negative squared distances; ties in the order of the rows."""
        return self.search(self.describe(photos, "describe queries"), k)

    def search(self, queries: Described, k: int, index: Any = None) -> Ranking:
        """Rank for queries that are described already. index: a faiss index to search in place of the ranker's own."""
        start = time.perf_counter()
        index = index or self.index

        def nearest(vectors: FloatArray, n: int) -> tuple[FloatArray, IntArray]:
            squared, found = index.search(vectors, n)
            return squared, self.rows[found]

        ids, scores = rank_vectors(nearest, queries.vectors, list(queries.reasons), k, len(self.rows))
        seconds = {**self._seconds, **queries.seconds, "search": time.perf_counter() - start}
        return Ranking(ids, scores, seconds, self._unreadable | queries.unreadable)

    def describe(self, photos: Sequence[str], stage: str) -> Described:
        """Describe `photos`, timed as `stage`."""
        from netvlad.describe.stream import describe_all

        start = time.perf_counter()
        what = f"{self.name}: {stage}"
        vectors, bad = describe_all(
            self.describer, photos, what=what, workers=self.workers, describing=self._describing
        )
        return Described(photos, vectors, bad, {stage: time.perf_counter() - start})


class Sweep:
    """Rankers over the first numbers of a whitened vector, for many dimensions: photos are described once.

    make() -> the MemoryRanker of all numbers, called when the first of them ranks. A vector is cut to its first numbers
    and normalised again, as in the paper (section 5.2); nothing is fitted anew.
    """

    def __init__(self, make: Callable[[], MemoryRanker]) -> None:
        self._make = make
        self._queries: Described | None = None

    @cached_property
    def full(self) -> MemoryRanker:
        return self._make()

    def queries(self, photos: Sequence[str]) -> Described:
        """Describe `photos`; the last ones asked for are remembered."""
        if self._queries is None or list(self._queries.photos) != list(photos):
            self._queries = self.full.describe(photos, "describe queries")
        return self._queries

    def ranker(self, dim: int) -> CroppedRanker:
        """The ranker of the first `dim` numbers. Raises NetvladError when there are not so many."""
        if not 1 <= dim <= self.full.dim:
            raise NetvladError(f"{self.full.name} has {self.full.dim} numbers: its first {dim} cannot be kept")
        return CroppedRanker(self, dim)


class CroppedRanker:
    """As MemoryRanker, over the first `dim` numbers of the vectors of a `Sweep`, normalised again."""

    def __init__(self, sweep: Sweep, dim: int) -> None:
        import faiss

        full = sweep.full
        self.sweep, self.dim, self.name = sweep, dim, full.name
        self._index = faiss.IndexFlatL2(dim)
        held = faiss.rev_swig_ptr(full.index.get_xb(), full.index.ntotal * full.dim).reshape(-1, full.dim)
        for start in range(0, len(held), BLOCK):
            self._index.add(cropped(held[start : start + BLOCK], dim))

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """As MemoryRanker.rank."""
        queries = self.sweep.queries(photos)
        return self.sweep.full.search(replace(queries, vectors=cropped(queries.vectors, self.dim)), k, self._index)


def cropped(vectors: FloatArray, dim: int) -> FloatArray:
    """The first `dim` numbers of each vector (n, D), normalised again: (n, dim) float32."""
    first = np.ascontiguousarray(vectors[:, :dim])
    return np.asarray(first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12))
