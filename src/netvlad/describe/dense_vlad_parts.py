"""The VLAD of dense local features taken apart by where in the photo they lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csc_array

from netvlad.describe.parts import StoredParts
from netvlad.describe.soft_residuals import EPS
from netvlad.features.dense_sift import Features
from netvlad.types import FloatArray

CELLS = 24  # along the longer side: 28 MB for 128 centres


def vlad_parts(features: Iterable[Features], shape: Sequence[int], centres: FloatArray, intra: bool) -> StoredParts:
    """The parts of `dense_vlad.vlad` of features of an image of `shape` (H, W, ...), by the cells of a grid.

    Each feature counts where its centre is; centres (K, D); intra: whether clusters are normalised.
    """
    height, width = shape[:2]
    rows, columns = (max(1, round(CELLS * side / max(height, width))) for side in (height, width))
    across, half = np.ascontiguousarray(centres.T), np.square(centres).sum(axis=1) / 2
    sums = np.zeros((rows * columns * len(centres), centres.shape[1]), np.float32)
    counts = np.zeros(len(sums), np.int64)
    for block in features:
        x = block.descriptors
        cell = (block.y * rows / height).astype(np.int64) * columns + (block.x * columns / width).astype(np.int64)
        pair, which = np.unique(cell * len(centres) + (x @ across - half).argmax(axis=1), return_inverse=True)
        grouping = csc_array((np.ones(len(x), np.float32), which, np.arange(len(x) + 1)), shape=(len(pair), len(x)))
        sums[pair] += grouping @ x
        counts[pair] += np.bincount(which)
    shares = sums.reshape(rows * columns, *centres.shape)
    shares -= counts.reshape(rows * columns, -1, 1) * centres
    whole = shares.sum(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), EPS) if intra else np.ones((len(whole), 1))
    scale /= max(float(np.linalg.norm(whole * scale)), EPS)
    shares *= scale.astype(np.float32)
    return StoredParts(shares, counts.reshape(rows, columns, -1).max(axis=2) > 0)
