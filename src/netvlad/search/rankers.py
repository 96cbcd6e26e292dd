"""Rankers for evaluations: over a describer in memory, and over an index on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from netvlad.places import Places
from netvlad.search.exact import rank_vectors


class MemoryRanker:
    """Exact L2 search over the vectors of `photos` by `describer`, which are described on construction.

    seconds: stage -> seconds spent; unreadable: path -> reason, of database and query photos.
    """

    def __init__(self, describer, photos: Sequence[str], *, workers: int | None = None):
        import faiss

        self.describer = describer
        self.name, self.dim = describer.name, describer.dim
        self.workers = workers
        self.seconds: dict[str, float] = {}
        self.unreadable: dict[str, str] = {}
        vectors, bad = self._describe(photos, "describe database")
        self._rows = np.delete(np.arange(len(photos)), bad)
        self._index = faiss.IndexFlatL2(self.dim)
        self._index.add(vectors[self._rows])

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """ids (Q, k) int64, -1 where there is none; scores (Q, k) float32, negative squared distances."""
        vectors, bad = self._describe(photos, "describe queries")
        start = time.perf_counter()
        ids, scores = rank_vectors(self._search, vectors, bad, k, len(self._rows))
        self.seconds["search"] = time.perf_counter() - start
        return ids, scores

    def _search(self, vectors: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        squared, found = self._index.search(vectors, n)
        return squared, self._rows[found]

    def _describe(self, photos: Sequence[str], stage: str) -> tuple[np.ndarray, list[int]]:
        from netvlad.describe.stream import describe_all

        start = time.perf_counter()
        vectors, bad = describe_all(self.describer, photos, what=f"{self.name}: {stage}", workers=self.workers)
        self.seconds[stage] = time.perf_counter() - start
        self.unreadable |= {photos[row]: reason for row, reason in bad.items()}
        return vectors, list(bad)


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
