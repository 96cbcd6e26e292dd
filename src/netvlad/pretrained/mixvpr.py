"""MixVPR (Ali-bey et al., WACV 2023): ResNet-50 to its third stage, its maps mixed by perceptrons over whole planes.

Its authors publish weights but nothing that torch.hub could load, so the network is written here, after their README,
demo.py and `models/aggregators/mixvpr.py`. Its modules are named as in their checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.errors import ModelError, first_line

SIDE = 20  # of the maps of a photo of 320x320, the only size that the mixers take
CHANNELS, DEPTH = 1024, 4


class Mixer(nn.Module):
    """Adds to each plane a perceptron of the whole plane: (N, C, SIDE^2) -> the same."""

    def __init__(self) -> None:
        super().__init__()
        size = SIDE**2
        self.mix = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x)
        return x + mixed


class MixVPR(nn.Module):
    """(N, 3, 320, 320) normalised RGB -> (N, channels * rows), rows of unit length."""

    def __init__(self, channels: int = 1024, rows: int = 4):
        from torchvision.models import resnet50

        super().__init__()
        backbone = resnet50(weights=None)
        backbone.layer4 = backbone.avgpool = backbone.fc = nn.Identity()
        self.backbone = nn.ModuleDict({"model": backbone})
        self.aggregator = nn.ModuleDict(
            {
                "mix": nn.Sequential(*(Mixer() for _ in range(DEPTH))),
                "channel_proj": nn.Linear(CHANNELS, channels),
                "row_proj": nn.Linear(SIDE**2, rows),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        backbone, head = self.backbone["model"], self.aggregator
        for part in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"):
            x = backbone.get_submodule(part)(x)
        x = x.flatten(2)
        x = head["channel_proj"](head["mix"](x).transpose(1, 2)).transpose(1, 2)
        return F.normalize(head["row_proj"](x).flatten(1), dim=1)


def load_mixvpr(file: Path, *, channels: int, rows: int) -> MixVPR:
    """The network with its authors' weights. Raises ModelError for a file that is not theirs."""
    model = MixVPR(channels, rows)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        model.load_state_dict(state.get("state_dict", state))
    except Exception as e:  # torch and zip each have their own
        reason = f"is no checkpoint of MixVPR with {channels}x{rows} numbers ({first_line(e)})"
        raise ModelError(reason, path=file) from e
    return model
