"""The photos of a map that are most similar to each of its own."""

from __future__ import annotations

import numpy as np

from netvlad.maps.index import PlaceIndex
from netvlad.runtime.progress import progress
from netvlad.types import IntArray

BLOCK = 1024  # photos that are asked at once


def own_matches(index: PlaceIndex, k: int) -> IntArray:
    """Rows (N, min(k, N - 1)) of the most similar other photos of each photo of `index`, best first."""
    size = len(index)
    k = min(k, size - 1)
    best = np.empty((size, max(k, 0)), np.int64)
    if k < 1:
        return best
    snapshot, first = index._snapshot, 0
    with progress("comparing photos", size) as advance:
        for vectors in snapshot.store.vectors():
            for start in range(0, len(vectors), BLOCK):
                part = vectors[start : start + BLOCK]
                rows = snapshot.search(part, k + 1)[1]
                own = rows == np.arange(first, first + len(part))[:, None]
                own[~own.any(axis=1), -1] = True  # behind k + 1 photos of the same vector
                best[first : first + len(part)] = rows[~own].reshape(-1, k)
                first += len(part)
                advance(len(part))
    return best
