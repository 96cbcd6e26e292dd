"""From a feature map to one vector: the poolings by name.

Each takes a map x (N, D, H, W) and, where parts of the photos are undefined, a mask (N, 1, H, W): 1 for locations that
count, 0 for those that are left out, at least one 1 in each photo; `defined_locations` makes it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.vlad import VLAD, NetVLAD
from netvlad.errors import ModelError

# The largest share of a cell that may be undefined. Filled with the nearest defined colours, a small gap disturbs less
# than leaving its cell out: at a quarter, photos with cracks and specks have vectors 0.2 to 0.6 times as far from those
# of the whole photos as when every touched cell is dropped, and photos with large holes hardly other ones.
UNDEFINED_SHARE = 0.25


def defined_locations(defined: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask of a map of `size` (H', W'): pixels (N, 1, H, W), 1 where defined, else 0 -> (N, 1, H', W').

    A location is left out when more than UNDEFINED_SHARE of its cell is undefined. The cell is the photo's block of
    pixels at the location's place in the grid, stride x stride; what a location sees is far more, for deep stages more
    than the photo, so that its value does depend on how holes were filled. A photo without any location that counts is
    pooled over all of them: filled as it is, it has a vector like any other.
    """
    share = F.adaptive_avg_pool2d(defined.float(), size)
    counts = share > 1 - UNDEFINED_SHARE - 1e-4  # means of exactly a quarter round to either side
    nothing = ~counts.flatten(1).any(dim=1)
    return (counts | nothing.view(-1, 1, 1, 1)).float()


class Max(nn.Module):
    """Maximum over space, L2-normalised (the paper's f_max): (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x.float()
        if mask is not None:
            x = x.masked_fill(mask == 0, -torch.inf)
        return F.normalize(x.amax(dim=(2, 3)), dim=1)


class Avg(nn.Module):
    """Mean over space, L2-normalised: (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return F.normalize(_mean(x.float(), mask), dim=1)


class GeM(nn.Module):
    """Generalised mean (Radenovic et al. 2018, equation 3), p trainable, L2-normalised: (N, D, H, W) -> (N, D).

    Defined for positive values: smaller ones count as 1e-6.
    """

    def __init__(self, p: float = 3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        powered = _mean(x.float().clamp_min(1e-6).pow(self.p), mask)
        return F.normalize(powered.pow(1 / self.p), dim=1)


def _mean(x: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return x.mean(dim=(2, 3))
    return (x * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3))


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
