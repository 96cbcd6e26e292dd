"""XFeat: corners and descriptors of a small network (Potje et al., CVPR 2024), found alike by day and by night.

The network is that of the paper (section 3.2 and figure 3), without the module that refines matches; batch
normalisation, which has no parameters of its own there, is folded into the convolutions. Callers use it as they use a
detector of OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netvlad.features.xfeat_weights import read_xfeat, xfeat_file
from netvlad.types import Array

# block -> the strides of its convolutions, each with batch normalisation and a rectifier
BLOCKS = {
    "block1": (1, 2, 1, 2),
    "block2": (1, 1),
    "block3": (2, 1, 1),
    "block4": (2, 1, 1),
    "block5": (2, 1, 1, 1),
    "block_fusion": (1, 1),
    "heatmap_head": (1, 1),
    "keypoint_head": (1, 1, 1),
}
LAST = ("block_fusion.2", "heatmap_head.2", "keypoint_head.3")  # a 1x1 convolution with a bias ends these blocks
SKIP = "skip1.1"  # and this one goes around block1
EPSILON = 1e-5  # of the normalisations
STEP = 32  # pixels; the network halves the sides five times
CELL = 8  # pixels a side of what one descriptor and 64 places of a corner stand for
SURE = 0.05  # least probability of a corner (section 4.1)
APART = 5  # pixels a side of the square in which a corner is the most probable one
SCALE = 127  # of descriptors as bytes; 128 is 0


class Convolution(NamedTuple):
    """Weights (out, in, k, k), bias (out,) and stride of a convolution that keeps the size but for its stride."""

    weight: Tensor
    bias: Tensor
    stride: int

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.weight.shape[-1] // 2)


class Maps(NamedTuple):
    """What the network says of a photo (H, W), both multiples of 32.

    descriptors (64, H/8, W/8), corners (H, W): probabilities, reliability (1, H/8, W/8) in 0..1.
    """

    descriptors: Tensor
    corners: Tensor
    reliability: Tensor


class XFeatNetwork:
    """The network of a published checkpoint. state: its tensors by name. Raises KeyError where one is missing."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._blocks = {
            block: [_folded(state, f"{block}.{i}.layer", stride) for i, stride in enumerate(strides)]
            for block, strides in BLOCKS.items()
        }
        plain = {name: Convolution(state[f"{name}.weight"], state[f"{name}.bias"], 1) for name in (*LAST, SKIP)}
        self._skip = plain.pop(SKIP)
        self._last = {name.partition(".")[0]: convolution for name, convolution in plain.items()}

    @torch.inference_mode()
    def __call__(self, grey: Tensor) -> Maps:
        """Maps of one photo (H, W) float32, both sides multiples of 32."""
        x = grey[None, None].to(memory_format=torch.channels_last)
        x = (x - x.mean()) / (x.var(correction=0) + EPSILON).sqrt()
        fine = self._through("block1", x) + self._skip(F.avg_pool2d(x, 4))
        eighth = self._through("block3", self._through("block2", fine))
        sixteenth = self._through("block4", eighth)
        coarse = self._through("block5", sixteenth)
        size = eighth.shape[-2:]
        pyramid = eighth + sum(F.interpolate(y, size, mode="bilinear") for y in (sixteenth, coarse))
        descriptors = self._through("block_fusion", pyramid)
        reliability = self._through("heatmap_head", descriptors).sigmoid()
        # 64 places in each cell of 8x8 pixels, and "no corner"
        places = self._through("keypoint_head", F.pixel_unshuffle(x, CELL)).softmax(1)[:, :-1]
        return Maps(descriptors[0], F.pixel_shuffle(places, CELL)[0, 0], reliability[0])

    def _through(self, block: str, x: Tensor) -> Tensor:
        for convolution in self._blocks[block]:
            x = F.relu_(convolution(x))
        return self._last[block](x) if block in self._last else x


def _folded(state: Mapping[str, Tensor], layer: str, stride: int) -> Convolution:
    """A convolution that includes the batch normalisation behind it."""
    gain = (state[f"{layer}.1.running_var"] + EPSILON).rsqrt()
    weight = (state[f"{layer}.0.weight"] * gain[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    return Convolution(weight, -state[f"{layer}.1.running_mean"] * gain, stride)


class XFeatDetector:
    """Finds at most `most` corners of a photo, with OpenCV's interface.

    Raises ModelError where there are no weights, or others than the published ones.
    """

    def __init__(self, most: int) -> None:
        self._network, self._most = _network(xfeat_file()), most

    def detectAndCompute(self, grey: Array, mask: None) -> tuple[list[cv2.KeyPoint], Array]:  # as OpenCV calls it
        """Corners of an (H, W) uint8 photo, surest first, and (N, 64) uint8 descriptors; none where all is alike."""
        if grey.min() == grey.max():
            return [], np.empty((0, 64), np.uint8)
        height, width = grey.shape
        padded = np.pad(grey, ((0, -height % STEP), (0, -width % STEP)), mode="edge")
        maps = self._network(torch.from_numpy(padded).float() / 255)
        x, y, sure = strongest(maps, height, width, self._most)
        found = F.normalize(sampled(maps.descriptors, x, y, "bicubic"), dim=1)
        keypoints = [
            cv2.KeyPoint(px, py, CELL, 0.0, response)
            for px, py, response in zip(x.tolist(), y.tolist(), sure.tolist(), strict=True)
        ]
        return keypoints, (found * SCALE + 128).round_().clamp_(0, 255).to(torch.uint8).numpy()


def strongest(maps: Maps, height: int, width: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, y in pixels and the score, (N,) float32 each, of the corners inside (height, width), highest score first.

    A score is the probability of the corner times the reliability of its surroundings.
    """
    corners = maps.corners.numpy()
    peak = cv2.dilate(corners, np.ones((APART, APART), np.uint8))  # torch's pooling takes 20 times as long
    found = np.nonzero((corners == peak)[:height, :width] & (corners[:height, :width] > SURE))
    y, x = (torch.from_numpy(at) for at in found)
    score = maps.corners[y, x] * sampled(maps.reliability, x, y, "bilinear")[:, 0]
    order = torch.sort(score, descending=True, stable=True).indices[:most]
    return x[order].float(), y[order].float(), score[order]


def sampled(values: Tensor, x: Tensor, y: Tensor, mode: str) -> Tensor:
    """Values (N, C) of a map (C, H/8, W/8), between its cells, at the pixels x, y (N,) of the photo (H, W)."""
    height, width = (CELL * side for side in values.shape[-2:])
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)  # -1 and 1 are the photo's edges
    at = F.grid_sample(values[None], grid[None, None].float(), mode=mode, padding_mode="border", align_corners=False)
    return at[0, :, 0].T


@lru_cache(maxsize=1)
def _network(file: Path) -> XFeatNetwork:
    return XFeatNetwork(read_xfeat(file))
