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
    """y = W (x - mean), then L2: (N, D) -> (N, d), the directions of largest variance first.

    W = diag(1 / sqrt(variance + 1e-9)) U^T by `fit_whitening`, diag(variance^-power) U^T by `fit_projection`.
    """

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
        return F.normalize(self.linear(x.float() - self.mean), dim=1)

    def linear(self, x: Tensor) -> Tensor:
        """W x: (N, D) -> (N, d)."""
        return x @ self.matrix.T

    def transposed(self, z: Tensor) -> Tensor:
        """W^T z: (N, d) -> (N, D)."""
        return z @ self.matrix

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


def fit_projection(vectors: FloatArray, dim: int, *, power: float = 0.25, seed: int = 0) -> Whitening:
    """Fit a projection to `dim` numbers on any `vectors` (n, D), even on one; dim <= D.

    Each direction is divided by its variance to the `power`: 1/2 whitens, 0 is PCA, 1/4 lies half-way and keeps the
    weak directions of a small map from counting as much as the strong. One vector of zeros is counted among them, so
    that no photo lies in the mean. Directions beyond the span of the vectors, which these cannot tell but photos added
    later can, are random (by `seed`) and orthogonal, with the least variance found. Raises ModelError unless 1 <= dim
    <= D.
    """
    n, d = vectors.shape
    if not 1 <= dim <= d:
        raise ModelError(f"{d}-D vectors cannot be projected to {dim} numbers: choose 1 to {d}")
    mean = vectors.sum(axis=0, dtype=np.float64) / (n + 1)
    x = np.concatenate([vectors, np.zeros((1, d))]) - mean
    variance, basis = _principal(x, min(dim, n + 1))
    kept = variance > max(variance[0] * 1e-9, np.finfo(float).tiny)
    variance, basis = variance[kept], basis[kept]
    if len(basis) < dim:
        more = np.random.default_rng(seed).standard_normal((d, dim - len(basis)))
        more -= basis.T @ (basis @ more)
        basis = np.concatenate([basis, np.linalg.qr(more)[0].T])
        variance = np.pad(variance, (0, len(more.T)), constant_values=variance[-1] if len(variance) else 1.0)
    projection = Whitening(d, dim)
    projection.mean.copy_(torch.from_numpy(mean))
    projection.matrix.copy_(torch.from_numpy(basis * variance[:, None] ** -power))
    return projection


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
