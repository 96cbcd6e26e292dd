"""Paints textures: plain walls, and rectangles and words on them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from netvlad.types import Array, FloatArray


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def grain(rng: np.random.Generator, height: int, width: int, strength: float = 0.10) -> FloatArray:
    """Factor near 1 for each pixel, (height, width, 1) float32: weathering in blotches of several sizes."""
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((3, 0.5), (9, 0.3), (max(height, width) // 2, 0.35)):
        coarse = rng.standard_normal((max(2, cells * height // max(height, width)) + 1, max(2, cells) + 1)).astype(
            np.float32
        )
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((1 + strength * total)[..., None])


def wall(
    rng: np.random.Generator, colour: ArrayLike, width: float, height: float, scale: int, courses: float = 0.0
) -> Array:
    """Paint a plain wall of width x height metres, (h, w, 4) uint8 sRGB and code 0, `scale` pixels a metre."""
    w, h = max(2, round(width * scale)), max(2, round(height * scale))
    image = np.array(colour, np.float32) * grain(rng, h, w)
    if courses:
        rows = np.abs(np.arange(h) / scale % courses) < 1.01 / scale
        image[rows] *= 0.88
        if courses > 0.4:  # large blocks of stone show their upright joints
            for i, row in enumerate(np.flatnonzero(rows)):
                joints = np.arange((i % 2) * 0.5 * scale, w, 1.1 * scale).astype(int)
                image[row : row + round(courses * scale), joints] *= 0.9
    image[: max(1, h // 40)] *= 0.8
    low = np.linspace(1, 0.72, max(1, round(0.5 * scale)))[:, None, None]  # dirt splashed up from the pavement
    image[h - len(low) :] *= low[: min(len(low), h)]
    out = np.zeros((h, w, 4), np.uint8)
    out[..., :3] = np.clip(image, 0, 255)
    return out


class Painter:
    """Draws colours and codes (see `Textures`) at once, in metres from the lower left corner.

    picture: RGB, `scale` pixels a metre, which is drawn on. code: of what nothing is drawn on.
    """

    def __init__(self, picture: Image.Image, scale: int, code: int = 0) -> None:
        self.scale, self._picture, self._codes = scale, picture, Image.new("L", picture.size, code)
        self.colours, self.codes = ImageDraw.Draw(self._picture), ImageDraw.Draw(self._codes)

    def texture(self) -> Array:
        """What was painted: (h, w, 4) uint8."""
        return np.dstack([np.asarray(self._picture), np.asarray(self._codes)])

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int]:
        s, h = self.scale, self._picture.height
        return (
            round(x0 * s),
            round(h - y1 * s),
            max(round(x0 * s), round(x1 * s) - 1),
            max(round(h - y1 * s), round(h - y0 * s) - 1),
        )

    def rect(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Iterable[float],
        code: int = 0,
        round_top: bool = False,
    ) -> None:
        """Fill a rectangle; round_top: with an arch."""
        box = self._box(x0, y0, x1, y1)
        fills: tuple[tuple[ImageDraw.ImageDraw, tuple[int, ...] | int], ...]
        fills = ((self.colours, tuple(int(c) for c in colour)), (self.codes, code))
        for draw, fill in fills:
            if round_top and box[2] - box[0] > 3:
                draw.rounded_rectangle(box, (box[2] - box[0]) / 2, fill=fill, corners=(True, True, False, False))
            else:
                draw.rectangle(box, fill=fill)

    def word(
        self, text: str, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int], code: int
    ) -> None:
        """Write `text` as large as the rectangle allows."""
        left, top, right, bottom = self._box(x0, y0, x1, y1)
        size = max(6, int((bottom - top) * 0.95))
        letters = font(size)
        wide = letters.getlength(text)
        if wide > right - left:
            letters = font(max(5, int(size * (right - left) / wide)))
        at = ((left + right) / 2, (top + bottom) / 2)
        self.colours.text(at, text, font=letters, fill=tuple(colour), anchor="mm")
        self.codes.rectangle((left, top, right, bottom), fill=code)
