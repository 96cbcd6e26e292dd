"""The ground of a neighbourhood as one texture: roadways, pavements, markings, patches, parks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw

from netvlad.town.plan import Plan, Street, on_crossing
from netvlad.types import Array, FloatArray

Quad: TypeAlias = Callable[[Street, float, float, float, float, tuple[int, ...]], None]

SCALE = 12  # pixels a metre


def paint_ground(plan: Plan, rng: np.random.Generator) -> Array:
    """Paint the ground from plan.low to plan.high, y upwards: (h, w, 4) uint8."""
    width, height = np.round((plan.high - plan.low) * SCALE).astype(int)
    picture = Image.new("RGB", (int(width), int(height)), (112, 104, 92))  # yards
    draw = ImageDraw.Draw(picture)

    def quad(street: Street, a: float, b: float, left: float, right: float, colour: tuple[int, ...]) -> None:
        corners = [
            street.start + street.along * d + street.right * s
            for d, s in ((a, left), (a, right), (b, right), (b, left))
        ]
        draw.polygon([_pixel(plan, c, height) for c in corners], fill=colour)

    for x0, y0, x1, y1 in plan.parks:
        box = [*_pixel(plan, (x0, y1), height), *_pixel(plan, (x1, y0), height)]
        draw.rectangle(box, fill=(86, 112, 58))
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        for a, b in (((x0, middle[1]), (x1, middle[1])), ((middle[0], y0), (middle[0], y1))):
            draw.line([_pixel(plan, a, height), _pixel(plan, b, height)], fill=(182, 166, 136), width=3 * SCALE)
    for street in plan.streets:
        slab = tuple(int(c) for c in np.array((166, 162, 154)) + rng.integers(-14, 15))
        quad(street, 0, street.length, -street.half, street.half, slab)
        for d in np.arange(0, street.length, 0.9):  # joints between slabs
            quad(street, d, d + 0.07, -street.half, street.half, tuple(c - 22 for c in slab))
    for street in plan.streets:
        quad(street, 0, street.length, -street.kerb - 0.18, street.kerb + 0.18, (196, 194, 188))  # kerbs
    for street in plan.streets:
        tar = int(rng.integers(72, 98))
        quad(street, 0, street.length, -street.kerb, street.kerb, (tar, tar, tar + 3))
        for _ in range(int(street.length / 9)):  # patches where the road was dug up
            d, s = rng.uniform(0, street.length), rng.uniform(-street.kerb, street.kerb - 1)
            shade = int(tar + rng.integers(-26, 22))
            quad(street, d, d + rng.uniform(0.6, 5), s, s + rng.uniform(0.5, 1.4), (shade, shade, shade))
        for _ in range(int(street.length / 14)):
            spot = street.start + street.along * rng.uniform(0, street.length) + street.right * rng.uniform(-2, 2)
            x, y = _pixel(plan, spot, height)  # manholes
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(50, 48, 46), outline=(110, 108, 104))
    for street in plan.streets:
        _markings(plan, street, quad)
    image = np.asarray(picture).astype(np.float32)
    image *= _wear(rng, int(height), int(width)) * _occlusion(plan, int(height), int(width))
    out = np.zeros((int(height), int(width), 4), np.uint8)
    out[..., :3] = np.clip(image, 0, 255)
    return out


def _markings(plan: Plan, street: Street, quad: Quad) -> None:
    """Paint a broken middle line, parking edges, and zebra crossings."""
    white = (222, 222, 214)
    for d in np.arange(0, street.length - 2, 5.0):
        if not on_crossing(plan, street, d + 1, 5.0):
            quad(street, d, d + 2.2, -0.08, 0.08, white)
            if street.kerb > 4:
                quad(street, d, d + 0.4, street.kerb - 2.1, street.kerb - 2.0, white)
                quad(street, d, d + 0.4, -street.kerb + 2.0, -street.kerb + 2.1, white)
    for other in plan.streets:
        if abs(float(other.along @ street.along)) > 0.5:
            continue
        centre = abs(float((other.start - street.start) @ street.along))
        for a in (centre - other.half - 2.6, centre + other.half + 0.2):
            for s in np.arange(-street.kerb + 0.4, street.kerb - 0.3, 1.0):
                quad(street, a, a + 2.4, s, s + 0.5, white)


def _pixel(plan: Plan, point: Array | tuple[float, float], height: int) -> tuple[float, float]:
    return float((point[0] - plan.low[0]) * SCALE), float(height - (point[1] - plan.low[1]) * SCALE)


def _wear(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Stains and wear: a factor near 1, (height, width, 1)."""
    total = np.ones((height, width), np.float32)
    for cell, strength in ((4.0, 0.06), (0.8, 0.05), (0.15, 0.05)):
        shape = max(2, int(height / SCALE / cell)), max(2, int(width / SCALE / cell))
        noise = rng.standard_normal(shape).astype(np.float32) * strength
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(total[..., None])


def _occlusion(plan: Plan, height: int, width: int) -> FloatArray:
    """Ambient occlusion, a factor (height, width, 1): the foot of a wall sees less sky."""
    walls = Image.new("L", (width // 4, height // 4), 0)
    draw = ImageDraw.Draw(walls)
    for lot in plan.lots:
        corners = [
            lot.corner,
            lot.corner + lot.right * lot.width,
            lot.corner + lot.right * lot.width + lot.back * lot.depth,
            lot.corner + lot.back * lot.depth,
        ]
        draw.polygon([tuple(c / 4 for c in _pixel(plan, p, height)) for p in corners], fill=255)
    blurred = cv2.GaussianBlur(np.asarray(walls), (0, 0), 1.6 * SCALE / 4).astype(np.float32) / 255
    return np.asarray(1 - 0.6 * cv2.resize(blurred, (width, height))[..., None])
