"""Pooled vectors taken apart into what each location of the feature map adds to them (`netvlad.types.Parts`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.soft_residuals import EPS, inverse_norm
from netvlad.types import BoolArray, FloatArray, IntArray


class ClusterParts:
    """Residuals to cluster centres: location l adds weights_kl (x_l - c_k) to cluster k.

    weights: (K, L), the assignment divided by the norms of cluster and whole; x: (D, L) of unit length; centres:
    (K, D); defined: (h, w) with h * w = L. No residual is ever stored.
    """

    def __init__(self, weights: FloatArray, x: FloatArray, centres: FloatArray, defined: BoolArray) -> None:
        self.weights, self.x, self.centres, self.defined = weights, x, centres, defined
        self.vector = self._sum(slice(None)).ravel()

    def _sum(self, of: slice | IntArray) -> FloatArray:
        """Shares of some locations, summed: (K, D)."""
        weights = self.weights[:, of]
        sums: FloatArray = weights @ self.x[:, of].T - weights.sum(axis=1, keepdims=True) * self.centres
        return sums

    def along(self, direction: FloatArray) -> FloatArray:
        """See `Parts`."""
        by_cluster = direction.reshape(self.centres.shape)
        products = by_cluster @ self.x - (by_cluster * self.centres).sum(axis=1, keepdims=True)
        along: FloatArray = (self.weights * products).reshape(-1, *self.defined.shape)
        return along

    def summed(self, cells: IntArray, count: int) -> FloatArray:
        """See `Parts`."""
        out = np.empty((count, len(self.vector)), np.float32)
        for cell, members in enumerate(_members(cells, count)):
            out[cell] = self._sum(members).ravel()
        return out


class StoredParts:
    """Shares that are stored: (L, K, D) float32, of h * w = L locations; K is 1 without clusters."""

    def __init__(self, shares: FloatArray, defined: BoolArray) -> None:
        self.shares, self.defined = shares, defined
        self.vector: FloatArray = shares.sum(axis=0).ravel()

    def along(self, direction: FloatArray) -> FloatArray:
        """See `Parts`."""
        by_cluster = direction.reshape(self.shares.shape[1:])
        along: FloatArray = np.einsum("lkd,kd->kl", self.shares, by_cluster).reshape(-1, *self.defined.shape)
        return along

    def summed(self, cells: IntArray, count: int) -> FloatArray:
        """See `Parts`."""
        return np.stack([self.shares[members].sum(axis=0).ravel() for members in _members(cells, count)])


def _members(cells: IntArray, count: int) -> list[IntArray]:
    """The locations of each cell."""
    order = np.argsort(cells, axis=None, kind="stable")
    return np.split(order, np.cumsum(np.bincount(cells.ravel(), minlength=count))[:-1])


def cluster_parts(
    x: Tensor, mask: Tensor | None, assignment: Tensor, centres: Tensor, normalise: Callable[[Tensor], Tensor]
) -> ClusterParts:
    """The parts of one map x (1, D, H, W) with the `assignment` (1, K, L) of its locations.

    mask: (1, 1, H, W) or None; a location that it leaves out must be assigned to no cluster. normalise: residual sums
    (1, K, D) -> (1, K * D); it may change the lengths of clusters, but not their directions.
    """
    flat = x.flatten(2).float()
    unit = flat * inverse_norm(flat)
    residuals = torch.matmul(assignment, unit.transpose(1, 2)) - assignment.sum(-1, keepdim=True) * centres
    lengths = residuals.norm(dim=2)
    scale = normalise(residuals).view_as(residuals).norm(dim=2) / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)
    weights = assignment * scale[:, :, None]
    weights, unit, centres = (tensor.detach().float().cpu() for tensor in (weights[0], unit[0], centres))
    return ClusterParts(weights.numpy(), unit.numpy(), centres.numpy(), _defined(x, mask))


def channel_parts(shares: Tensor, mask: Tensor | None) -> StoredParts:
    """The parts of one map whose locations add `shares` (1, D, H, W) to the channels, up to the length of the whole."""
    whole = shares.sum(dim=(2, 3)).norm().clamp_min(EPS)
    stored = (shares / whole).flatten(2)[0].T[:, None].contiguous()
    return StoredParts(stored.detach().cpu().numpy(), _defined(shares, mask))


def _defined(x: Tensor, mask: Tensor | None) -> BoolArray:
    if mask is None:
        return np.ones(x.shape[-2:], bool)
    defined: BoolArray = mask[0, 0].bool().cpu().numpy()
    return defined
