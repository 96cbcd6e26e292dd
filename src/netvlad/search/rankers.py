"""Rankers for evaluations: over a describer in memory, and over an index on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places
from netvlad.search.distinctive import distinctive_vectors
from netvlad.search.flat_index import rank_vectors

BLOCK = 4096  # vectors that are cropped together


class MemoryRanker:
    """Exact L2 search over the vectors of `photos` by `describer`, which are described on construction.

    near: of each photo the photos that may show the same place; where given, the photos' vectors are replaced by what
    is distinctive of them (`distinctive_vectors`).
    seconds: stage -> seconds spent; unreadable: path -> reason, of database and query photos.
    """

    def __init__(self, describer, photos: Sequence[str], *, near: Neighbours | None = None, workers: int | None = None):
        import faiss

        self.describer = describer
        self.name, self.dim = describer.name, describer.dim
        self.workers = workers
        self.seconds: dict[str, float] = {}
        self.unreadable: dict[str, str] = {}
        vectors, bad = self.describe(photos, "describe database")
        if near is not None:
            start = time.perf_counter()
            vectors = distinctive_vectors(vectors, near)  # unreadable photos are zeros, which explain nothing
            self.seconds["distinctive database"] = time.perf_counter() - start
        self.rows = np.delete(np.arange(len(photos)), bad)
        self.index = faiss.IndexFlatL2(self.dim)
        self.index.add(vectors if not bad else vectors[self.rows])  # faiss has its own copy: a third were too many

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """ids (Q, k) int64, -1 where there is none; scores (Q, k) float32, negative squared distances; ties in the
        order of the rows."""
        vectors, bad = self.describe(photos, "describe queries")
        start = time.perf_counter()
        ids, scores = rank_vectors(self._search, vectors, bad, k, len(self.rows))
        self.seconds["search"] = time.perf_counter() - start
        return ids, scores

    def _search(self, vectors: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        squared, found = self.index.search(vectors, n)
        return squared, self.rows[found]

    def describe(self, photos: Sequence[str], stage: str) -> tuple[np.ndarray, list[int]]:
        """Vectors of `photos` (n, dim) float32, and the rows that could not be read; timed as `stage`."""
        from netvlad.describe.stream import describe_all

        start = time.perf_counter()
        vectors, bad = describe_all(self.describer, photos, what=f"{self.name}: {stage}", workers=self.workers)
        self.seconds[stage] = time.perf_counter() - start
        self.unreadable |= {photos[row]: reason for row, reason in bad.items()}
        return vectors, list(bad)


class Sweep:
    """Rankers over the first numbers of a whitened vector, for many dimensions: photos are described once.

    make() -> the MemoryRanker of all numbers, called when the first of them ranks. A vector is cut to its first numbers
    and normalised again, as in the paper (section 5.2); nothing is fitted anew.
    """

    def __init__(self, make):
        self._make, self._full = make, None
        self._queries: tuple[list[str], np.ndarray, list[int]] | None = None

    @property
    def full(self) -> MemoryRanker:
        if self._full is None:
            self._full = self._make()
        return self._full

    def queries(self, photos: Sequence[str]) -> tuple[np.ndarray, list[int]]:
        """Vectors of `photos` and the unreadable rows; the last ones asked for are remembered."""
        if self._queries is None or self._queries[0] != list(photos):
            self._queries = (list(photos), *self.full.describe(photos, "describe queries"))
        return self._queries[1:]

    def ranker(self, dim: int) -> CroppedRanker:
        """The ranker of the first `dim` numbers. Raises NetvladError when there are not so many."""
        if not 1 <= dim <= self.full.dim:
            raise NetvladError(f"{self.full.name} has {self.full.dim} numbers: its first {dim} cannot be kept")
        return CroppedRanker(self, dim)


class CroppedRanker:
    """As MemoryRanker, over the first `dim` numbers of the vectors of a `Sweep`, normalised again."""

    def __init__(self, sweep: Sweep, dim: int):
        import faiss

        full = sweep.full
        self.sweep, self.dim, self.name = sweep, dim, full.name
        self.seconds, self.unreadable = dict(full.seconds), dict(full.unreadable)
        self._index = faiss.IndexFlatL2(dim)
        held = faiss.rev_swig_ptr(full.index.get_xb(), full.index.ntotal * full.dim).reshape(-1, full.dim)
        for start in range(0, len(held), BLOCK):
            self._index.add(cropped(held[start : start + BLOCK], dim))

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As MemoryRanker.rank."""
        vectors, bad = self.sweep.queries(photos)
        full, start = self.sweep.full, time.perf_counter()
        ids, scores = rank_vectors(self._search, cropped(vectors, self.dim), bad, k, len(full.rows))
        self.seconds = {**full.seconds, "search": time.perf_counter() - start}
        self.unreadable |= full.unreadable
        return ids, scores

    def _search(self, vectors: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        squared, found = self._index.search(vectors, n)
        return squared, self.sweep.full.rows[found]


def cropped(vectors: np.ndarray, dim: int) -> np.ndarray:
    """The first `dim` numbers of each vector (n, D), normalised again: (n, dim) float32."""
    first = np.ascontiguousarray(vectors[:, :dim])
    return first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)


class IndexRanker:
    """A PlaceIndex as a ranker over the rows of `database`, which is added to it first (what is in stays)."""

    def __init__(self, index, database: Places, *, workers: int | None = None):
        start = time.perf_counter()
        added = index.add(database, workers=workers)
        self.index, self.dim, self.workers = index, index.model.dim, workers
        # an index that was there already tells nothing of how long describing takes
        self.seconds = {"index database": time.perf_counter() - start} if added.new > added.known else {}
        self.unreadable = dict(added.unreadable)
        row_of: dict[str, int] = {}
        for row, path in enumerate(database.path):
            row_of.setdefault(path, row)  # of a path that is there twice the first is in
        self._rows = np.array([row_of.get(path, -1) for path in index.places.path], np.int64)

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As MemoryRanker.rank."""
        start = time.perf_counter()
        ids, scores = self.index.rank(photos, k, workers=self.workers)
        self.seconds["describe and search queries"] = time.perf_counter() - start
        self.unreadable |= self.index.unreadable
        return np.where(ids >= 0, self._rows[ids], -1), scores
