"""PCA whitening of descriptors to a compact vector (Jegou and Chum 2012; the authors' `addPCA`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import eigh
from torch import Tensor, nn

from netvlad.describe.wccn import WCCN
from netvlad.errors import ModelError
from netvlad.types import Array, FloatArray

EPS = 1e-9  # added to each variance, as in the authors' code


class Whitening(nn.Module):
    """y = W (x - mean), then L2: (N, D) -> (N, d). W = diag(1 / sqrt(variance + 1e-9)) U^T, largest variance first."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim_in))
        self.register_buffer("matrix", torch.zeros(dim, dim_in))

    @property
    def dim(self) -> int:
        return self.matrix.shape[0]

    @property
    def card(self) -> int:
        """Its entry in a model's card, which `make_whitening` takes."""
        return self.dim

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize((x.float() - self.mean) @ self.matrix.T, dim=1)

    def cropped(self, dim: int) -> Whitening:
        """The first `dim` outputs, normalised again; PCA is not refitted. Raises ModelError if there are fewer."""
        if not 1 <= dim <= self.dim:
            raise ModelError(f"a whitening to {self.dim} dimensions cannot be cropped to {dim}")
        smaller = Whitening(len(self.mean), dim)
        smaller.mean.copy_(self.mean)
        smaller.matrix.copy_(self.matrix[:dim])
        return smaller


def make_whitening(dim_in: int, card: int | dict[str, Any]) -> Whitening | WCCN:
    """The `Whitening` or `WCCN` of vectors of length `dim_in` that a card has an entry of, without its tensors."""
    if isinstance(card, dict):
        return WCCN(dim_in, card["within"])
    return Whitening(dim_in, card)


def fit_whitening(vectors: FloatArray, dim: int) -> Whitening:
    """Fit a whitening to `dim` dimensions on `vectors` (n, D).

    The covariance is divided by n - 1; where D > n its eigenvectors are found through the n x n Gram matrix. Raises
    ModelError unless 1 <= dim <= min(n - 1, D), and for vectors that span fewer than `dim` dimensions.
    """
    x = np.asarray(vectors, dtype=np.float64)
    n, d = x.shape
    if not 1 <= dim <= min(n - 1, d):
        raise ModelError(
            f"whitening {d}-D vectors to {dim} dimensions needs at least {dim + 1} photos and {dim} <= {d}; "
            f"there are {n} photos: choose 1 to {max(1, min(n - 1, d))}"
        )
    mean = x.mean(axis=0)
    x = x - mean
    variance, basis = _principal(x, dim)
    if variance[-1] <= variance[0] * 1e-12:
        rank = int((variance > variance[0] * 1e-12).sum())
        raise ModelError(f"these {n} photos span only {rank} dimensions: whiten to at most {max(1, rank)}")
    whitening = Whitening(d, dim)
    whitening.mean.copy_(torch.from_numpy(mean))
    whitening.matrix.copy_(torch.from_numpy(basis / np.sqrt(variance + EPS)[:, None]))
    return whitening


def _principal(x: Array, dim: int) -> tuple[Array, Array]:
    """The `dim` largest variances (descending) of centred x (n, D), and their directions (dim, D)."""
    n, d = x.shape
    if d <= n:
        variance, u = eigh(x.T @ x / (n - 1), subset_by_index=[d - dim, d - 1])
        return variance[::-1], u[:, ::-1].T
    variance, v = eigh(x @ x.T / (n - 1), subset_by_index=[n - dim, n - 1])
    variance, v = variance[::-1], v[:, ::-1]
    scale = np.sqrt(np.maximum(variance, np.finfo(float).tiny) * (n - 1))
    return variance, (v.T @ x) / scale[:, None]
