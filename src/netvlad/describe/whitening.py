"""PCA whitening of descriptors to a compact vector (Jegou and Chum 2012; the authors' `addPCA`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.errors import ModelError

EPS = 1e-9  # added to each variance, as in the authors' code


class Whitening(nn.Module):
    """y = W (x - mean), then L2: (N, D) -> (N, d). W = diag(1 / sqrt(variance + 1e-9)) U^T, largest variance first."""

    def __init__(self, dim_in: int, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim_in))
        self.register_buffer("matrix", torch.zeros(dim, dim_in))

    @property
    def dim(self) -> int:
        return self.matrix.shape[0]

    @property
    def card(self) -> int:
        """What a model's card says of it, `make_whitening` reads."""
        return self.dim

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize((x.float() - self.mean) @ self.matrix.T, dim=1)

    def cropped(self, dim: int) -> Whitening:
        """The first `dim` outputs, normalised again; PCA is not fitted anew."""
        if not 1 <= dim <= self.dim:
            raise ModelError(f"a whitening to {self.dim} dimensions cannot be cropped to {dim}")
        smaller = Whitening(len(self.mean), dim)
        smaller.mean.copy_(self.mean)
        smaller.matrix.copy_(self.matrix[:dim])
        return smaller


def make_whitening(dim_in: int, card: int | dict) -> nn.Module:
    """The whitening of `dim_in` numbers that a card speaks of, its tensors still to be filled in."""
    if isinstance(card, dict):
        from netvlad.describe.wccn import WithinWhitening

        return WithinWhitening(dim_in, card["within"])
    return Whitening(dim_in, card)


class Whitened:
    """What describers share that have a `whitening`, or None, besides `name`, `dim` and `device`."""

    def crop(self, dim: int):
        """Keep the first `dim` whitened numbers only; returns this describer, changed.

        Raises ModelError where nothing is whitened.
        """
        if self.whitening is None:
            raise ModelError(f"{self.name} is not whitened, so its {self.dim} numbers cannot be cut to {dim}")
        self.whitening = self.whitening.cropped(dim).to(self.device)
        return self


def fit_whitening(vectors: np.ndarray, dim: int) -> Whitening:
    """Fit on `vectors` (n, D), one a row. Raises ModelError when n - 1 or D is smaller than `dim`, or `dim` than 1.

    The covariance is divided by n - 1; where D > n its eigenvectors come through the n x n Gram matrix.
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


def _principal(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The `dim` largest variances (descending) of centred x (n, D), and their directions (dim, D)."""
    from scipy.linalg import eigh

    n, d = x.shape
    if d <= n:
        variance, u = eigh(x.T @ x / (n - 1), subset_by_index=[d - dim, d - 1])
        return variance[::-1], u[:, ::-1].T
    variance, v = eigh(x @ x.T / (n - 1), subset_by_index=[n - dim, n - 1])
    variance, v = variance[::-1], v[:, ::-1]
    scale = np.sqrt(np.maximum(variance, np.finfo(float).tiny) * (n - 1))
    return variance, (v.T @ x) / scale[:, None]
