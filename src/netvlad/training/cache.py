"""Descriptors of the whole training set as they were at the last refresh (paper, appendix A)."""

from __future__ import annotations

import tempfile

import numpy as np
import torch

from netvlad.errors import NetvladError
from netvlad.training.loss import Diverged


class Cache:
    """float16 descriptors (N, dim), in memory, or in an unnamed file of `folder` where they exceed `memory` bytes.

    A row that was never set, or whose photo cannot be read, is NaN.
    """

    def __init__(self, rows: int, dim: int, *, memory: float = 4e9, folder: str | None = None):
        size = 2 * rows * dim
        if size <= memory:
            self._vectors = torch.full((rows, dim), float("nan"), dtype=torch.float16)
        elif folder is None:
            raise NetvladError(
                f"{rows} descriptors of {dim} numbers take {size / 1e9:.1f} GB, more than the {memory / 1e9:.1f} GB "
                "of memory allowed: allow more, or give a folder to keep them in"
            )
        else:
            file = tempfile.TemporaryFile(dir=folder, prefix="descriptors-")  # noqa: SIM115 - the map below lives as long
            on_disk = np.memmap(file, np.float16, "w+", shape=(rows, dim))
            on_disk[:] = np.nan
            self._vectors = torch.from_numpy(on_disk)
        self._squares = torch.full((rows,), float("nan"))

    def set(self, rows, vectors: torch.Tensor) -> None:
        """vectors (n, dim) are the descriptors of `rows`. Raises Diverged where one is not finite."""
        if not torch.isfinite(vectors).all():
            raise Diverged("descriptors of readable photos are NaN or infinite")
        half = vectors.detach().to("cpu", torch.float16)
        rows = torch.as_tensor(np.asarray(rows, np.int64))
        self._vectors[rows] = half
        self._squares[rows] = half.float().square().sum(1)

    def squared_distances(self, row: int, others: np.ndarray) -> np.ndarray:
        """Squared L2 distances (n,) float32 of `row` to `others`, NaN where either is not there."""
        others = torch.as_tensor(np.asarray(others, np.int64))
        products = self._vectors[others].float() @ self._vectors[row].float()
        return (self._squares[others] + self._squares[row] - 2 * products).clamp_min(0).numpy()
