"""Poolings by name: from a feature map to one vector.

A pooling is built from the number of channels and of clusters, which those without centres ignore. It takes a map x
(N, D, H, W) and, where parts of the photos are undefined, a mask (N, 1, H, W): 1 for locations that count, 0 for those
that are left out, at least one 1 in each photo; `defined_locations` makes it. It returns (N, dim), and states `dim`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.parts import channel_parts
from netvlad.describe.vlad import VLAD, NetVLAD, Pooling
from netvlad.errors import ModelError
from netvlad.registry import poolings, register_pooling
from netvlad.types import FloatArray, Parts

# The largest share of a cell that may be undefined. A small gap, filled with the nearest defined colours, changes a
# vector less than leaving its cell out. With a quarter, photos with cracks and specks have vectors 0.2 to 0.6 times as
# far from those of the whole photos as when every touched cell is dropped; photos with large holes hardly change.
UNDEFINED_SHARE = 0.25


@runtime_checkable
class SeparablePooling(Protocol):
    """A pooling whose vectors are sums over locations, such as all of this package."""

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """Take the vector of one map (1, D, H, W) apart, with its mask (1, 1, H, W) or None."""


@runtime_checkable
class CentredPooling(Protocol):
    """A pooling with cluster centres, such as NetVLAD."""

    ready: bool  # False while centres are missing

    def initialise(self, centres: FloatArray, descriptors: FloatArray) -> None:
        """Set the parameters from centres (K, D) and the L2-normalised local descriptors (n, D) they came from."""


def defined_locations(defined: Tensor, size: Sequence[int]) -> Tensor:
    """Pixels (N, 1, H, W), 1 where defined, else 0 -> the mask (N, 1, H', W') of a map of `size` (H', W').

    A location is left out when more than UNDEFINED_SHARE of its cell is undefined. The cell is the block of pixels at
    its place in the grid, stride x stride. Its receptive field is far larger, for deep stages larger than the photo, so
    its value depends on how holes were filled. A photo without any location that counts is pooled over all of them.
    """
    height, width = size
    share = F.adaptive_avg_pool2d(defined.float(), (height, width))
    counts = share > 1 - UNDEFINED_SHARE - 1e-4  # means of exactly a quarter round to either side
    nothing = ~counts.flatten(1).any(dim=1)
    return (counts | nothing.view(-1, 1, 1, 1)).float()


class Spatial(Pooling):
    """A pooling of each channel over space: as many numbers as channels."""

    def __init__(self, channels: int, clusters: int = 0) -> None:
        super().__init__()
        self.dim = channels


@register_pooling("max")
class Max(Spatial):
    """Maximum over space, L2-normalised (the paper's f_max): (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x.float()
        if mask is not None:
            x = x.masked_fill(mask == 0, -torch.inf)
        return F.normalize(x.amax(dim=(2, 3)), dim=1)

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """The vector of one map (1, D, H, W) as a sum over its locations: a maximum is shared by those that have it."""
        x = x.float() if mask is None else x.float().masked_fill(mask == 0, -torch.inf)
        largest = x.amax(dim=(2, 3), keepdim=True)
        at = (x == largest).float()
        return channel_parts(at / at.sum(dim=(2, 3), keepdim=True) * largest, mask)


@register_pooling("avg")
class Avg(Spatial):
    """Mean over space, L2-normalised: (N, D, H, W) -> (N, D)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return F.normalize(_mean(x.float(), mask), dim=1)

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """The vector of one map (1, D, H, W) as a sum over its locations."""
        return channel_parts(x.float() if mask is None else x.float() * mask, mask)


@register_pooling("gem")
class GeM(Spatial):
    """Generalised mean (Radenovic et al. 2018, equation 3), p trainable, L2-normalised: (N, D, H, W) -> (N, D).

    Defined for positive values: smaller ones count as 1e-6.
    """

    def __init__(self, channels: int, clusters: int = 0, p: float = 3.0) -> None:
        super().__init__(channels)
        self.p = nn.Parameter(torch.tensor([p]))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        powered = _mean(x.float().clamp_min(1e-6).pow(self.p), mask)
        return F.normalize(powered.pow(1 / self.p), dim=1)

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """The vector of one map (1, D, H, W) as a sum over its locations: m^(1/p) is the sum of x^p m^(1/p - 1)."""
        powers = x.float().clamp_min(1e-6).pow(self.p)
        powers = powers if mask is None else powers * mask
        return channel_parts(powers * _mean(powers, mask).pow(1 / self.p - 1)[:, :, None, None], mask)


def _mean(x: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return x.mean(dim=(2, 3))
    return (x * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3))


poolings.add("vlad", VLAD)
poolings.add("netvlad", NetVLAD)
poolings.add("netvlad2", partial(NetVLAD, version=2))


def make_pooling(name: str, channels: int, clusters: int) -> Any:
    """The pooling called `name` for a map of so many channels. Raises ModelError listing the names."""
    if name not in poolings:
        raise ModelError(f"no pooling is called {name!r}; choose one of {', '.join(poolings)}")
    return poolings.get(name)(channels, clusters)
