"""An index as a ranker for evaluations."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from netvlad.maps.index import PlaceIndex
from netvlad.places import Places
from netvlad.types import Ranking


class IndexRanker:
    """A PlaceIndex as a ranker over the rows of `database`, which is added to it first (what the index holds stays)."""

    def __init__(self, index: PlaceIndex, database: Places, *, workers: int | None = None) -> None:
        start = time.perf_counter()
        added = index.add(database, workers=workers)
        self.index, self.name, self.dim, self.workers = index, index.name, index.dim, workers
        # an index that was there already does not show how long describing takes
        self._seconds = {"index database": time.perf_counter() - start} if added.new > added.known else {}
        self._unreadable = dict(added.unreadable)
        row_of: dict[str, int] = {}
        for row, path in enumerate(database.path):
            row_of.setdefault(path, row)  # of a path that is there twice the first is in
        self._rows = np.array([row_of.get(path, -1) for path in index.places.path], np.int64)

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank the rows of the database; photos of the index that it lacks leave gaps of -1."""
        start = time.perf_counter()
        found = self.index.rank(photos, k, workers=self.workers)
        seconds = {**self._seconds, "describe and search queries": time.perf_counter() - start}
        ids = np.where(found.ids >= 0, self._rows[found.ids], -1)
        return Ranking(ids, found.scores, seconds, self._unreadable | dict(found.unreadable))
