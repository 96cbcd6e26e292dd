"""The nearest of vectors that stand in several indexes, as if they stood in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from netvlad.search.vector_index import Searched
from netvlad.types import BoolArray, FloatArray, IntArray


class ShardedIndex:
    """Several indexes as one, whose rows are those of the first, then those of the second, and so on.

    shards: gives each index, when it is first asked. sizes: how many vectors each holds. The answer is that of one
    index over all vectors in this order, ties included, where the indexes are exact.
    """

    def __init__(self, shards: Sequence[Callable[[], Searched]], sizes: Sequence[int]) -> None:
        self._shards, self._opened = shards, dict[int, Searched]()
        self._first = np.cumsum([0, *sizes])
        self._parts: tuple[BoolArray | None, list[tuple[int, BoolArray | None]]] = (None, self._asked(None))

    def open(self) -> None:
        """Open all indexes, so that the first who asks need not wait."""
        for shard in range(len(self._shards)):
            self._shard(shard)

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`; only indexes that hold rows of `among` are asked."""
        kept, parts = self._parts
        if kept is not among or (among is not None and among.flags.writeable):
            parts = self._asked(among)
            self._parts = among, parts  # an index knows a mask again that it was asked with
        squared = np.full((len(vectors), k), np.inf, np.float32)
        rows = np.full((len(vectors), k), -1, np.int64)

        def ask(part: tuple[int, BoolArray | None]) -> tuple[FloatArray, IntArray]:
            shard, mask = part
            found, ids = self._shard(shard).search(vectors, k, mask)
            return found, np.where(ids < 0, -1, ids + self._first[shard])

        for found, ids in self._pool.map(ask, parts) if len(parts) > 1 else map(ask, parts):
            squared, rows = _merged(squared, rows, found, ids)
        return squared, rows

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim)."""
        of = np.searchsorted(self._first, rows, side="right") - 1
        found: FloatArray | None = None
        for shard in np.unique(of):
            part = self._shard(int(shard)).vectors(rows[of == shard] - self._first[shard])
            found = np.empty((len(rows), part.shape[1]), np.float32) if found is None else found
            found[of == shard] = part
        return np.empty((0, 0), np.float32) if found is None else found

    def _asked(self, among: BoolArray | None) -> list[tuple[int, BoolArray | None]]:
        """The indexes that hold any row of a mask, and its part of each; None for all rows."""
        parts: list[tuple[int, BoolArray | None]] = []
        for shard, (first, end) in enumerate(zip(self._first[:-1], self._first[1:], strict=True)):
            mask = None if among is None else among[first:end]
            if end > first and (mask is None or mask.any()):
                parts.append((shard, None if mask is None or mask.all() else mask))
        return parts

    def _shard(self, shard: int) -> Searched:
        if shard not in self._opened:
            self._opened[shard] = self._shards[shard]()
        return self._opened[shard]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(len(self._shards), "netvlad-shards")


def _merged(squared: FloatArray, rows: IntArray, more: FloatArray, others: IntArray) -> tuple[FloatArray, IntArray]:
    """The nearest (Q, k) of two rankings (Q, k) each; of equal ones those of the first ranking come first."""
    both, ids = np.c_[squared, more], np.c_[rows, others]
    best = np.argsort(both, axis=1, kind="stable")[:, : squared.shape[1]]
    return np.take_along_axis(both, best, 1), np.take_along_axis(ids, best, 1)
