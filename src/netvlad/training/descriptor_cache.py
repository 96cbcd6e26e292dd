"""The cached descriptors of the training set, as of the last refresh (paper, appendix A)."""

from __future__ import annotations

import tempfile

import numpy as np
import torch

from netvlad.errors import NetvladError
from netvlad.training.losses import Diverged
from netvlad.types import FloatArray, IntArray


class DescriptorCache:
    """float16 descriptors (N, dim), in memory, or in an unnamed file of `folder` where they exceed `memory` bytes.

    A row that was never set, as of an unreadable photo, is NaN. Raises NetvladError where there is no room.
    """

    def __init__(self, rows: int, dim: int, *, memory: float = 4e9, folder: str | None = None) -> None:
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

    def set(self, rows: IntArray, vectors: torch.Tensor) -> None:
        """Set the descriptors (n, dim) of `rows` (n,). Raises Diverged where one is not finite."""
        if not torch.isfinite(vectors).all():
            raise Diverged("descriptors of readable photos are NaN or infinite")
        half = vectors.detach().to("cpu", torch.float16)
        at = torch.as_tensor(np.asarray(rows, np.int64))
        self._vectors[at] = half
        self._squares[at] = half.float().square().sum(1)

    def squared_distances(self, row: int, others: IntArray) -> FloatArray:
        """Squared L2 distances (n,) float32 of `row` to `others`, NaN where either is missing."""
        at = torch.as_tensor(np.asarray(others, np.int64))
        products = self._vectors[at].float() @ self._vectors[row].float()
        return np.asarray((self._squares[at] + self._squares[row] - 2 * products).clamp_min(0).numpy())
