"""Exact nearest neighbours by faiss, as a file beside the table that can be made anew from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from netvlad.maps.store import Store
from netvlad.runtime.files import atomic


class Exact:
    """Exhaustive search over the stored float16 vectors by squared L2 distance.

    The file holds a copy of what the table holds: rows it lacks are added on opening, a broken file is rebuilt.
    """

    def __init__(self, store: Store, file: Path):
        self._index = self._opened(store, file)
        done = self._index.ntotal
        if done < len(store):
            for block in store.vectors(done):
                self._index.add(block)
            with suppress(OSError):  # on a disk that cannot be written to it is made again next time
                self._write(file)

    def _opened(self, store: Store, file: Path):
        import faiss

        if file.is_file():
            try:
                index = faiss.read_index(str(file))
                if _is_copy(index, store):
                    return index
            except RuntimeError:  # not a faiss file, or half of one
                pass
        index = faiss.IndexScalarQuantizer(store.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
        index.train(np.zeros((1, store.dim), np.float32))  # float16 learns nothing; faiss wants to be asked
        return index

    def _write(self, file: Path) -> None:
        import faiss

        with atomic(file) as temporary:
            faiss.write_index(self._index, str(temporary))

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of each of `vectors` (Q, dim): squared distances (Q, k) and rows (Q, k), inf and -1 beyond
        the end; ties in the order of the rows."""
        squared, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        return np.where(rows < 0, np.inf, np.maximum(squared, 0)), rows


def _is_copy(index, store: Store) -> bool:
    """Whether what was read is of this table: by its kind, and by the last row of it."""
    import faiss

    if type(index) is not faiss.IndexScalarQuantizer or not index.is_trained or index.d != store.dim:
        return False
    if index.sq.qtype != faiss.ScalarQuantizer.QT_fp16 or index.metric_type != faiss.METRIC_L2:
        return False
    last = index.ntotal - 1
    if last < 0 or index.ntotal > len(store):
        return last < 0
    return np.array_equal(index.reconstruct(last), next(store.vectors(last))[0])


def rank_vectors(
    search: Callable, vectors: np.ndarray, unreadable: Sequence[int], k: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a ranker gives for `vectors` (Q, dim) by `search(vectors, n) -> (squared distances, rows)` over `size` rows.

    ids (Q, k) int64, -1 beyond the end and for the `unreadable` rows; scores (Q, k) float32, negative squared
    distances.
    """
    ids = np.full((len(vectors), k), -1, np.int64)
    scores = np.full((len(vectors), k), -np.inf, np.float32)
    good = np.delete(np.arange(len(vectors)), unreadable)
    n = min(k, size)
    if n and len(good):
        squared, ids[good, :n] = search(vectors[good], n)
        scores[good, :n] = -squared
    return ids, scores
