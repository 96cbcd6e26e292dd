"""Networks of MatConvNet's SimpleNN kind: a list of layers, run one after the other, under a pooling of this package.

What the authors published (`Relja/netvlad`) is of this kind. MatConvNet's conventions that PyTorch does not share: pads
are [top, bottom, left, right] and need not be symmetric; sizes are rounded down; normalisation across channels adds its
constant under the root.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.folder import fill, read_state, save_folder
from netvlad.describe.network import LONGEST_SIDE, NetworkDescriber
from netvlad.describe.pooling import pooled_dim
from netvlad.describe.vlad import NetVLAD, locations
from netvlad.describe.whitening import Whitening, make_whitening
from netvlad.errors import ModelError

KAPPA = 1e-12  # of the authors' normalisation layers
VERSIONS = {"netvlad": 1, "netvlad2": 2}


class Conv(nn.Conv2d):
    """Convolution of a map padded by [top, bottom, left, right]."""

    def __init__(self, channels, out, kernel, stride, pad, groups):
        super().__init__(channels, out, tuple(kernel), tuple(stride), groups=groups)
        self.pad = _torch_order(pad)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pad) if any(self.pad) else x)


class MaxPool(nn.Module):
    """Maximum over windows; what was padded is never the maximum."""

    def __init__(self, kernel, stride, pad):
        super().__init__()
        self.kernel, self.stride, self.pad = tuple(kernel), tuple(stride), _torch_order(pad)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.pad, value=-torch.inf) if any(self.pad) else x
        return F.max_pool2d(x, self.kernel, self.stride)


class AcrossChannels(nn.Module):
    """`vl_nnnormalize`: y_k = x_k / (kappa + alpha * sum of x_q^2 over a window of n channels around k) ^ beta.

    The window goes from k - floor((n - 1) / 2) to k + ceil((n - 1) / 2). Caffe's alpha is n times this one.
    """

    def __init__(self, param):
        super().__init__()
        n, self.kappa, self.alpha, self.beta = param
        self.n = int(n)

    def forward(self, x: Tensor) -> Tensor:
        before = (self.n - 1) // 2
        squares = F.pad(x.square(), (0, 0, 0, 0, before, self.n - 1 - before))
        sums = squares.unfold(1, self.n, 1).sum(dim=-1)
        return x * (self.kappa + self.alpha * sums).pow(-self.beta)


class LayerBackbone(nn.Module):
    """(N, 3, H, W) -> (N, dim, H', W') by `layers`, dicts as `matconvnet_layers.backbone_layers` makes them.

    Stands where a `Backbone` does; its parts are called as in the file, so that training can start at `conv5_1`.
    mean: of RGB in 0..1, subtracted; nothing is divided (`std` 1/255).
    """

    def __init__(self, name: str, layers: list[dict], mean: tuple[float, ...]):
        super().__init__()
        self.name, self.layers, self.mean = name, layers, tuple(mean)
        self.std = (1 / 255,) * 3
        self.body = nn.Sequential()
        for layer in layers:
            self.body.add_module(layer["name"], _module(layer))
        convolutions = [layer for layer in layers if layer["type"] == "conv"]
        self.body.feature_info = [{"module": layer["name"]} for layer in convolutions]
        self.stage: str = convolutions[-1]["name"]
        self.dim: int = convolutions[-1]["out"]
        self.index, self.multiple = len(convolutions) - 1, 1
        self.stride = 1
        for layer in layers:
            self.stride *= max(layer.get("stride", (1, 1)))
        self.smallest: int = max(_smallest(layers, axis) for axis in (0, 1))
        self.provenance: dict | None = None

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if min(height, width) < self.smallest:
            least = f"{self.name} needs photos of at least {self.smallest} pixels a side"
            raise ModelError(f"{least}, got {width}x{height}")
        return self.body(x)


class PublishedNetVLAD(NetVLAD):
    """NetVLAD with the authors' normalisation: x / sqrt(1e-12 + |x|^2), not x / max(1e-12, |x|).

    A cluster to which hardly anything of a photo was assigned has a residual below 1e-6; it stays small, as it was
    when the published whitening was fitted, where `NetVLAD` would scale it up to the length of all others.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x, inverse_norm = locations(x)
            logits = torch.matmul(self.weight, x) * inverse_norm
            if self.bias is not None:
                logits = logits + self.bias[:, None]
            assignment = logits.softmax(dim=1)
            if mask is not None:
                assignment = assignment * mask.flatten(2)
            residuals = torch.matmul(assignment * inverse_norm, x.transpose(1, 2))
            residuals = residuals - assignment.sum(-1, keepdim=True) * self.centres
            intra = residuals * (residuals.square().sum(dim=2, keepdim=True) + KAPPA).rsqrt()
            return F.normalize(intra.flatten(1), dim=1)


class SimpleNNDescriber(NetworkDescriber):
    """A describer whose backbone is a list of MatConvNet's layers; else a `NetworkDescriber`, trained like one."""

    def __init__(
        self,
        backbone: LayerBackbone,
        pooling: str,
        *,
        clusters: int = 64,
        resize: int | None = LONGEST_SIDE,
        whitening: Whitening | None = None,
        name: str | None = None,
    ):
        super().__init__(backbone, pooling, clusters=clusters, resize=resize, whitening=whitening, name=name)
        if pooling in VERSIONS:
            self.pooling = PublishedNetVLAD(backbone.dim, clusters, VERSIONS[pooling]).to(self.device)

    @property
    def architecture(self) -> dict:
        return {**super().architecture, "layers": self.backbone.layers}

    def save(self, folder) -> Path:
        """Write model.safetensors and card.json."""
        return save_folder(self, folder, kind="simplenn", weights=self.backbone.provenance)

    @classmethod
    def load(cls, folder: Path, card: dict) -> SimpleNNDescriber:
        """Read what `save` wrote. Raises ModelError when tensors are missing, misshapen or not those of the card."""
        arch = card["architecture"]
        state = read_state(folder, card)
        backbone = LayerBackbone(arch["trunk"], arch["layers"], arch["mean"])
        backbone.provenance = card["weights"]
        model = cls(backbone, arch["pooling"], clusters=arch["clusters"], resize=arch["resize"], name=card["name"])
        if arch["whitening"]:
            dim_in = pooled_dim(arch["pooling"], backbone.dim, arch["clusters"])
            model.whitening = make_whitening(dim_in, arch["whitening"]).to(model.device)
        fill(model, state, folder)
        model.fitted_on = card["fitted_on"]
        return model


def _module(layer: dict) -> nn.Module:
    if layer["type"] == "conv":
        return Conv(*(layer[key] for key in ("channels", "out", "kernel", "stride", "pad", "groups")))
    if layer["type"] == "pool":
        return MaxPool(layer["kernel"], layer["stride"], layer["pad"])
    if layer["type"] == "normalize":
        return AcrossChannels(layer["param"])
    return nn.LeakyReLU(layer["leak"]) if layer["leak"] else nn.ReLU()


def _torch_order(pad) -> tuple[int, int, int, int]:
    top, bottom, left, right = pad
    return left, right, top, bottom


def _smallest(layers: list[dict], axis: int) -> int:
    """The least height (axis 0) or width (1) of a photo of which one location is left."""
    side = 1
    for layer in reversed([part for part in layers if "kernel" in part]):
        pad = sum(layer["pad"][2 * axis : 2 * axis + 2])
        side = max(1, (side - 1) * layer["stride"][axis] + layer["kernel"][axis] - pad)
    return side
