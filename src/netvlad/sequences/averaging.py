"""Descriptors of sequences by averaging: the simplest way to let several frames speak."""

from __future__ import annotations

import numpy as np

from netvlad.errors import NetvladError
from netvlad.types import FloatArray


def averaged(vectors: FloatArray, length: int) -> FloatArray:
    """The mean of each of `vectors` (N, D), in order of time, and up to `length` - 1 before it, of unit length: (N, D).

    Both the frames of a map and those that are looked for are averaged. A mean of zero stays zero. Length 1 gives the
    vectors scaled to unit length. Raises NetvladError for a length below 1.
    """
    check_length(length)
    sums = vectors.astype(np.float64)
    for back in range(1, min(length, len(vectors))):
        sums[back:] += vectors[:-back]
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0), np.float32)


def check_length(length: int) -> None:
    """Raises NetvladError for a length of a sequence below 1."""
    if length < 1:
        raise NetvladError(f"a sequence has at least 1 frame, got a length of {length}")
