"""Networks of MatConvNet's SimpleNN kind: a list of layers, run one after the other, under a pooling of this package.

The authors' published networks (`Relja/netvlad`) are of this kind. Conventions of MatConvNet that differ from those of
PyTorch: pads are [top, bottom, left, right] and need not be symmetric; sizes are rounded down; local response
normalisation adds its constant under the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.backbone import Backbone
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.vlad import NetVLAD
from netvlad.errors import ModelError
from netvlad.pretrained.matconvnet_layers import LayerSpec
from netvlad.registry import register_artifact

KAPPA = 1e-12  # of the authors' normalisation layers


class Conv(nn.Conv2d):
    """Convolution of a map padded by [top, bottom, left, right]."""

    def __init__(
        self, channels: int, out: int, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], groups: int
    ) -> None:
        super().__init__(channels, out, _pair(kernel), _pair(stride), groups=groups)
        self.pad = _torch_order(pad)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pad) if any(self.pad) else x)


class MaxPool(nn.Module):
    """Maximum over windows; padding is never the maximum."""

    def __init__(self, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> None:
        super().__init__()
        self.kernel, self.stride, self.pad = _pair(kernel), _pair(stride), _torch_order(pad)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.pad, value=-torch.inf) if any(self.pad) else x
        return F.max_pool2d(x, self.kernel, self.stride)


class LocalResponseNorm(nn.Module):
    """`vl_nnnormalize`: y_k = x_k / (kappa + alpha * sum of x_q^2 over a window of n channels around k) ^ beta.

    The window goes from k - floor((n - 1) / 2) to k + ceil((n - 1) / 2). Caffe's alpha is n times this one.
    """

    def __init__(self, param: Sequence[float]) -> None:
        super().__init__()
        n, self.kappa, self.alpha, self.beta = param
        self.n = int(n)

    def forward(self, x: Tensor) -> Tensor:
        before = (self.n - 1) // 2
        squares = F.pad(x.square(), (0, 0, 0, 0, before, self.n - 1 - before))
        sums = squares.unfold(1, self.n, 1).sum(dim=-1)
        return x * (self.kappa + self.alpha * sums).pow(-self.beta)


class LayerBackbone(Backbone):
    """(N, 3, H, W) -> (N, dim, H', W') by `layers`, dicts as `matconvnet_layers.backbone_layers` makes them.

    Its modules are named as in the file, so that training can start at `conv5_1`. mean: of RGB in 0..1, subtracted;
    nothing is divided (`std` 1/255).
    """

    def __init__(self, name: str, layers: list[LayerSpec], mean: Sequence[float]) -> None:
        nn.Module.__init__(self)  # no network of timm to crop
        self.name, self.layers, self.mean = name, layers, tuple(mean)
        self.std = (1 / 255,) * 3
        self.body = nn.Sequential()
        for layer in layers:
            self.body.add_module(layer["name"], _module(layer))
        convolutions = [layer for layer in layers if layer["type"] == "conv"]
        self.stages = [layer["name"] for layer in convolutions]
        self.stage, self.dim = convolutions[-1]["name"], convolutions[-1]["out"]
        self.index, self.multiple = len(convolutions) - 1, 1
        self.stride = 1
        for layer in layers:
            self.stride *= max(layer.get("stride", (1, 1)))
        self.smallest = max(_smallest(layers, axis) for axis in (0, 1))
        self.provenance = None

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if min(height, width) < self.smallest:
            least = f"{self.name} needs photos of at least {self.smallest} pixels a side"
            raise ModelError(f"{least}, got {width}x{height}")
        maps: Tensor = self.body(x)
        return maps


class PublishedNetVLAD(NetVLAD):
    """NetVLAD with the authors' normalisation: x / sqrt(1e-12 + |x|^2), not x / max(1e-12, |x|).

    A cluster to which hardly anything of a photo was assigned has a residual below 1e-6. It stays small, as it was
    when the published whitening was fitted; `NetVLAD` would scale it up to the length of all others.
    """

    def normalise(self, residuals: Tensor) -> Tensor:
        intra = residuals * (residuals.square().sum(dim=2, keepdim=True) + KAPPA).rsqrt()
        return F.normalize(intra.flatten(1), dim=1)


@register_artifact("simplenn")
class SimpleNNDescriber(NetworkDescriber):
    """A `NetworkDescriber` whose backbone is a list of MatConvNet's layers."""

    kind = "simplenn"
    backbone: LayerBackbone

    def __init__(self, backbone: LayerBackbone, pooling: str, **options: Any) -> None:
        super().__init__(backbone, pooling, **options)
        if isinstance(self.pooling, NetVLAD):
            version = self.pooling.version
            self.pooling = PublishedNetVLAD(backbone.dim, self.clusters, version).to(self.device)

    @property
    def architecture(self) -> dict[str, Any]:
        return {**super().architecture, "layers": self.backbone.layers}

    @classmethod
    def _backbone(cls, architecture: dict[str, Any]) -> LayerBackbone:
        return LayerBackbone(architecture["trunk"], architecture["layers"], architecture["mean"])


def _module(layer: LayerSpec) -> nn.Module:
    if layer["type"] == "conv":
        return Conv(*(layer[key] for key in ("channels", "out", "kernel", "stride", "pad", "groups")))
    if layer["type"] == "pool":
        return MaxPool(layer["kernel"], layer["stride"], layer["pad"])
    if layer["type"] == "normalize":
        return LocalResponseNorm(layer["param"])
    return nn.LeakyReLU(layer["leak"]) if layer["leak"] else nn.ReLU()


def _pair(values: Sequence[int]) -> tuple[int, int]:
    first, second = values
    return first, second


def _torch_order(pad: Sequence[int]) -> tuple[int, int, int, int]:
    top, bottom, left, right = pad
    return left, right, top, bottom


def _smallest(layers: list[LayerSpec], axis: int) -> int:
    """Least height (axis 0) or width (axis 1) of a photo that leaves one location."""
    side = 1
    for layer in reversed([part for part in layers if "kernel" in part]):
        pad = sum(layer["pad"][2 * axis : 2 * axis + 2])
        side = max(1, (side - 1) * layer["stride"][axis] + layer["kernel"][axis] - pad)
    return side
