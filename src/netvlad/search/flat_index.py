"""Exact nearest neighbours by faiss, kept in a file beside the vectors that it can be rebuilt from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netvlad.runtime.files import atomic
from netvlad.types import FloatArray, IntArray


class VectorSource(Protocol):
    """Vectors on disk, in rows that are only ever appended to."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int: ...

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Yield blocks (n, dim) float32 from row `start` on, in order."""


class FlatIndex:
    """Exhaustive search over float16 vectors by squared L2 distance.

    `file` holds a copy of `source`: rows it lacks are added on opening, and a broken file is rebuilt.
    """

    def __init__(self, source: VectorSource, file: Path) -> None:
        self._index = self._opened(source, file)
        done = self._index.ntotal
        if done < len(source):
            for block in source.vectors(done):
                self._index.add(block)
            with suppress(OSError):  # on a read-only disk it is made again next time
                self._write(file)

    def _opened(self, source: VectorSource, file: Path) -> Any:
        import faiss

        if file.is_file():
            try:
                index = faiss.read_index(str(file))
                if _is_copy(index, source):
                    return index
            except RuntimeError:  # not a faiss file, or half of one
                pass
        index = faiss.IndexScalarQuantizer(source.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
        index.train(np.zeros((1, source.dim), np.float32))  # float16 learns nothing, but faiss refuses to skip this
        return index

    def _write(self, file: Path) -> None:
        import faiss

        with atomic(file) as temporary:
            faiss.write_index(self._index, str(temporary))

    def search(self, vectors: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """The k nearest rows of each of `vectors` (Q, dim): squared distances (Q, k) and rows (Q, k).

        inf and -1 beyond the end; ties in the order of the rows.
        """
        squared, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        return np.where(rows < 0, np.inf, np.maximum(squared, 0)), rows


def _is_copy(index: Any, source: VectorSource) -> bool:
    """Whether a file that was read belongs to `source`, by its kind and its last row."""
    import faiss

    if type(index) is not faiss.IndexScalarQuantizer or not index.is_trained or index.d != source.dim:
        return False
    if index.sq.qtype != faiss.ScalarQuantizer.QT_fp16 or index.metric_type != faiss.METRIC_L2:
        return False
    last = index.ntotal - 1
    if last < 0 or index.ntotal > len(source):
        return bool(last < 0)
    return np.array_equal(index.reconstruct(last), next(source.vectors(last))[0])


def rank_vectors(
    search: Callable[[FloatArray, int], tuple[FloatArray, IntArray]],
    vectors: FloatArray,
    unreadable: Sequence[int],
    k: int,
    size: int,
) -> tuple[IntArray, FloatArray]:
    """Rank `size` rows for `vectors` (Q, dim) by `search(vectors, n) -> (squared distances, rows)`.

    Returns ids (Q, k) int64, -1 beyond the end and for the `unreadable` queries, and scores (Q, k) float32, negative
    squared distances.
    """
    ids = np.full((len(vectors), k), -1, np.int64)
    scores = np.full((len(vectors), k), -np.inf, np.float32)
    good = np.delete(np.arange(len(vectors)), list(unreadable))
    n = min(k, size)
    if n and len(good):
        squared, ids[good, :n] = search(vectors[good], n)
        scores[good, :n] = -squared
    return ids, scores
