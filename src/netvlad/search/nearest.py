"""The nearest of vectors that are on the disk, exactly."""

from __future__ import annotations

import numpy as np

from netvlad.search.vector_file import BLOCK, VectorFile
from netvlad.types import FloatArray, IntArray

SPARE = 16  # more than k are kept by rounded distances, so that the k best by exact ones are among them


def nearest(
    file: VectorFile, queries: FloatArray, k: int, slots: IntArray | None = None
) -> tuple[FloatArray, IntArray]:
    """The k nearest of `slots` (all by default) to each of `queries` (Q, dim): as `rescored` gives them."""
    import faiss

    heap_squared = np.full((len(queries), k + SPARE), np.inf, np.float32)
    heap_slots = np.full((len(queries), k + SPARE), -1, np.int64)
    count = file.rows if slots is None else len(slots)
    for first in range(0, count, BLOCK):
        part = np.arange(first, min(first + BLOCK, count)) if slots is None else slots[first : first + BLOCK]
        block = file.read(part)
        squared, found = faiss.knn(queries, block, min(k + SPARE, len(block)))
        squared = np.c_[heap_squared, squared]
        ids = np.c_[heap_slots, np.where(found < 0, -1, part[found])]
        best = np.argsort(squared, axis=1, kind="stable")[:, : k + SPARE]
        heap_squared = np.take_along_axis(squared, best, 1)
        heap_slots = np.take_along_axis(ids, best, 1)
    return rescored(file, queries, heap_slots, k)


def rescored(file: VectorFile, queries: FloatArray, slots: IntArray, k: int) -> tuple[FloatArray, IntArray]:
    """The k nearest of the candidates `slots` (Q, n), -1 for none, of each query: squared distances and slots (Q, k).

    inf and -1 beyond the end; ties in the order of the slots.
    """
    import faiss

    squared = np.full((len(queries), k), np.inf, np.float32)
    best = np.full((len(queries), k), -1, np.int64)
    for i, query in enumerate(queries):
        candidates = np.sort(slots[i][slots[i] >= 0])
        if not len(candidates):
            continue
        vectors = file.read(candidates)
        found = faiss.knn(query[None], vectors, min(k + SPARE, len(vectors)))[1][0]
        best_rounded = np.sort(found[found >= 0])  # NaN is at no distance
        candidates, apart = candidates[best_rounded], vectors[best_rounded] - query
        distances = np.einsum("ij,ij->i", apart, apart)
        order = np.argsort(distances, kind="stable")[:k]
        squared[i, : len(order)], best[i, : len(order)] = distances[order], candidates[order]
    return squared, best
