"""Within-class covariance normalisation, WCCN (Hatch, Kajarekar and Stolcke 2006)."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.errors import ModelError
from netvlad.types import Array

RIDGE = 1.0  # share of the mean eigenvalue
LEAST = 0.1  # directions attenuated by less are left as they are and not stored


class WCCN(nn.Module):
    """y = (S + a I)^(-1/2) x up to a factor, then L2: (N, D) -> (N, D). S is the within-class covariance, a the ridge.

    `directions` (r, D), unit rows, are eigenvectors of S with eigenvalues s; `gains` (r,) are sqrt(a / (s + a)) - 1.
    The other directions keep their length, so that r x D numbers are stored instead of D x D.
    """

    directions: Tensor
    gains: Tensor

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(rank, dim))
        self.register_buffer("gains", torch.zeros(rank))

    @property
    def dim(self) -> int:
        return self.directions.shape[1]

    @property
    def card(self) -> dict[str, Any]:
        """Its entry in a model's card, which `make_whitening` takes."""
        return {"within": len(self.gains)}

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.linear(x.float()), dim=1)

    @property
    def mean(self) -> Tensor:
        """What is subtracted first, (D,): zeros."""
        return self.directions.new_zeros(self.dim)

    def linear(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D), without the normalisation."""
        return x + ((x @ self.directions.T) * self.gains) @ self.directions

    def transposed(self, z: Tensor) -> Tensor:
        """The transposed of `linear`, which is symmetric."""
        return self.linear(z)

    def of_maps(self, maps: Tensor) -> Tensor:
        """Transform each location of (N, D, H, W), without the normalisation."""
        change = self.directions.T @ (self.gains[:, None] * self.directions)
        return maps + F.conv2d(maps, change.to(maps.dtype)[:, :, None, None])

    def cropped(self, dim: int) -> NoReturn:
        """Raise ModelError: the numbers are not in order of importance."""
        raise ModelError(f"vectors normalised by fixed cameras keep all their {self.dim} numbers; whiten by PCA to cut")


def fit_wccn(vectors: Array, classes: Array) -> WCCN:
    """Fit on `vectors` (n, D) and the class of each, (n,). The ridge is the mean of the eigenvalues above 0.

    Raises ModelError where no class has two vectors that differ.
    """
    x = np.asarray(vectors, dtype=np.float64)
    _, of, counts = np.unique(classes, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, of, x)
    x = x - (means / counts[:, None])[of]
    freedom = max(1, len(x) - len(counts))
    if len(x) > x.shape[1]:
        return from_covariance(x.T @ x / freedom, RIDGE)
    return from_covariance(x @ x.T / freedom, RIDGE, x)  # the n x n Gram matrix is the smaller


def from_covariance(covariance: Array, ridge: float, x: Array | None = None) -> WCCN:
    """Fit on the covariance (D, D), or on the Gram matrix (n, n) of x (n, D).

    ridge: share of the mean eigenvalue. Raises ModelError where nothing varies.
    """
    s, vectors = np.linalg.eigh(covariance)
    kept = s > max(s.max(initial=0) * 1e-10, np.finfo(np.float32).tiny)
    if not kept.any():
        raise ModelError("those photos of each fixed camera that can be read are all alike: no direction varies")
    ridge *= s[kept].mean()
    gains = np.sqrt(ridge / (np.maximum(s, 0) + ridge)) - 1
    kept &= gains <= -LEAST
    directions = vectors[:, kept].T
    if x is not None:
        directions = directions @ x
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    whitening = WCCN(directions.shape[1], int(kept.sum()))
    whitening.directions.copy_(torch.from_numpy(directions))
    whitening.gains.copy_(torch.from_numpy(gains[kept]))
    return whitening
