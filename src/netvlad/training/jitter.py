"""Random changes to photos before a training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from netvlad.training.config import Jitter
from netvlad.types import Array

Transform: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def jitterer(jitter: Jitter, seed: int, epoch: int, query: int) -> Callable[[int, Array], Array]:
    """change(position, image (H, W, 3 or 4) uint8) -> image of the same size, for the photos of one tuple.

    The draws depend only on the seed, the epoch, the query and the photo's position in the tuple; a flip is drawn once
    for the tuple. Geometric changes give (H, W, 4), with alpha 0 where the photo does not reach.
    """
    flip = np.random.default_rng([seed, 4, epoch, query]).random() < jitter.flip
    transforms = _transforms(jitter)

    def change(position: int, image: Array) -> Array:
        draw = np.random.default_rng([seed, 5, epoch, query, position]).integers(2**62)
        with torch.random.fork_rng(devices=[]):  # the transforms draw from torch's global generator
            torch.default_generator.manual_seed(int(draw))
            return _apply(transforms, jitter, flip, image)

    return change


def _transforms(jitter: Jitter) -> list[Transform]:
    parts: list[Transform] = []
    if jitter.perspective:
        parts.append(v2.RandomPerspective(jitter.perspective, p=1.0))
    if jitter.rotation:
        parts.append(v2.RandomRotation(jitter.rotation, interpolation=v2.InterpolationMode.BILINEAR))
    strengths = {"brightness": jitter.brightness, "contrast": jitter.contrast, "saturation": jitter.saturation}
    if any(strengths.values()):
        parts.append(v2.ColorJitter(**strengths))
    return parts


def _apply(transforms: list[Transform], jitter: Jitter, flip: bool, image: Array) -> Array:
    x = torch.tensor(image).permute(2, 0, 1)
    geometric = jitter.perspective or jitter.rotation
    mask = x[3:] if len(x) == 4 else torch.full_like(x[:1], 255)
    pair = tv_tensors.Image(x[:3]), tv_tensors.Mask(mask)
    for transform in transforms:
        pair = transform(*pair)
    if jitter.crop:
        pair = _cropped(jitter.crop, *pair)
    if flip:
        pair = F.horizontal_flip(pair[0]), F.horizontal_flip(pair[1])
    rgb, mask = _coloured(jitter, pair[0]), pair[1].as_subclass(torch.Tensor)
    both = torch.cat([rgb, mask]) if geometric or len(x) == 4 else rgb
    return np.asarray(both.permute(1, 2, 0).contiguous().numpy())


def _cropped(share: float, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Crop down to 1 - share of the area and scale back; the proportions stay, so no place changes its shape."""
    height, width = image.shape[-2:]
    side = float(1 - share * torch.rand(1)) ** 0.5
    h, w = max(1, round(side * height)), max(1, round(side * width))
    top, left = (int(torch.randint(whole - part + 1, (1,))) for whole, part in ((height, h), (width, w)))
    box = top, left, h, w, [height, width]
    return F.resized_crop(image, *box), F.resized_crop(mask, *box)


def _coloured(jitter: Jitter, image: Tensor) -> Tensor:
    if jitter.gamma:
        image = F.adjust_gamma(image, float(1 + jitter.gamma * (2 * torch.rand(1) - 1)))
    if jitter.white_balance:
        strength = 1 + jitter.white_balance * (2 * torch.rand(3, 1, 1) - 1)
        image = (image.float() * strength).round().clamp(0, 255).to(torch.uint8)
    return image.as_subclass(torch.Tensor)
