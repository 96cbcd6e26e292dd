"""From a feature map to one vector: the poolings by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.vlad import VLAD, NetVLAD
from netvlad.errors import ModelError


class Max(nn.Module):
    """Maximum over space, L2-normalised (the paper's f_max): (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x.float().amax(dim=(2, 3)), dim=1)


class Avg(nn.Module):
    """Mean over space, L2-normalised: (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x.float().mean(dim=(2, 3)), dim=1)


class GeM(nn.Module):
    """Generalised mean (Radenovic et al. 2018, equation 3), p trainable, L2-normalised: (N, D, H, W) -> (N, D).

    Defined for positive values: smaller ones count as 1e-6.
    """

    def __init__(self, p: float = 3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))

    def forward(self, x: Tensor) -> Tensor:
        powered = x.float().clamp_min(1e-6).pow(self.p).mean(dim=(2, 3))
        return F.normalize(powered.pow(1 / self.p), dim=1)


# name -> (make(dim, clusters), vector length of a map with dim channels)
POOLINGS: dict[str, tuple[Callable[[int, int], nn.Module], Callable[[int, int], int]]] = {
    "max": (lambda dim, clusters: Max(), lambda dim, clusters: dim),
    "avg": (lambda dim, clusters: Avg(), lambda dim, clusters: dim),
    "gem": (lambda dim, clusters: GeM(), lambda dim, clusters: dim),
    "vlad": (lambda dim, clusters: VLAD(dim, clusters), lambda dim, clusters: dim * clusters),
    "netvlad": (lambda dim, clusters: NetVLAD(dim, clusters), lambda dim, clusters: dim * clusters),
    "netvlad2": (lambda dim, clusters: NetVLAD(dim, clusters, version=2), lambda dim, clusters: dim * clusters),
}


def make_pooling(name: str, dim: int, clusters: int) -> nn.Module:
    """The pooling called `name` for a map of `dim` channels. Raises ModelError listing the names."""
    if name not in POOLINGS:
        raise ModelError(f"no pooling is called {name!r}; choose one of {', '.join(POOLINGS)}")
    return POOLINGS[name][0](dim, clusters)


def pooled_dim(name: str, dim: int, clusters: int) -> int:
    """The length of the vector that pooling `name` makes of `dim` channels."""
    return POOLINGS[name][1](dim, clusters)
