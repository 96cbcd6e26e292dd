"""Burst-aware weights of local descriptors: VLAD-BuFF (Khaliq et al., ECCV 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from netvlad.describe.soft_residuals import inverse_norm
from netvlad.describe.vlad import NetVLAD, aggregate
from netvlad.registry import register_pooling


@register_pooling("vladbuff")
class VLADBuFF(NetVLAD):
    """NetVLAD in which descriptors that a photo repeats count less: (N, D, H, W) -> (N, K * D), rows of unit length.

    The assignment of location i is divided by w_i = (sum_j sigmoid(a (2 x_i . x_j - 2) + b))^p over all locations j, a
    soft count of those like it: windows, leaves, paving. a, b and p are the paper's starting values and are not
    trained. p = 0 is NetVLAD.
    """

    def __init__(
        self, channels: int, clusters: int = 64, *, slope: float = 8.0, offset: float = 7.0, power: float = 0.5
    ) -> None:
        super().__init__(channels, clusters)
        self.slope, self.offset, self.power = slope, offset, power

    def residuals(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Residual sums (N, K, D) of local descriptors (N, D, L), each divided by its soft count."""
        return aggregate(self.assignment(x, mask), x, inverse_norm(x), self.centres, mask)

    def assignment(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """As of NetVLAD, (N, K, L), each location divided by its soft count."""
        return self.weighted(super().assignment(x, mask), x, inverse_norm(x), mask)

    def weighted(self, assignment: Tensor, x: Tensor, inverse: Tensor, mask: Tensor | None) -> Tensor:
        """The assignment (N, K, L) divided by each location's soft count of locations like it."""
        unit = x * inverse
        similar = torch.matmul(unit.transpose(1, 2), unit).mul_(2 * self.slope).add_(self.offset - 2 * self.slope)
        similar = similar.sigmoid_()
        if mask is not None:  # what is undefined is like nothing
            similar = similar * mask.flatten(2)
        return assignment / similar.sum(2).pow(self.power)[:, None]
