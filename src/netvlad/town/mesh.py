"""Triangles, their materials, and mipmapped textures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from netvlad.types import Array, FloatArray

PLAIN, GROUND, LEAF = range(3)  # kinds of material: how they take light and weather
LEVELS = 6  # mipmap levels: from a wall at arm's length to one at the end of the street


class Textures:
    """Textures with their mipmaps in one flat array, so that millions of points are sampled at once.

    A texture is (h, w, 4) uint8: sRGB and a code, which is 0 for plain matter, 1..252 for the number of a window, 253
    for a shop window and 254 for a lit sign.
    """

    def __init__(self) -> None:
        self._pixels: list[Array] = []
        self._shape: list[list[tuple[int, int, int]]] = []
        self._size = 0

    def add(self, image: Array) -> int:
        """Add a texture and return its number."""
        levels = []
        for _ in range(LEVELS):
            height, width = image.shape[:2]
            levels.append((self._size, width, height))
            self._pixels.append(np.ascontiguousarray(image).reshape(-1, 4))
            self._size += width * height
            image = _halved(image)
        self._shape.append(levels)
        return len(self._shape) - 1

    def freeze(self) -> None:
        """Make the textures that were added ready for `sample`."""
        self.pixels = np.concatenate(self._pixels) if self._pixels else np.zeros((0, 4), np.uint8)
        self.shape = np.array(self._shape, np.int64).reshape(-1, LEVELS, 3)

    def copy(self) -> Textures:
        """Return a copy that can be added to; the pixels are shared."""
        other = Textures()
        other._pixels, other._shape, other._size = list(self._pixels), list(self._shape), self._size
        return other

    def sample(self, texture: Array, u: Array, v: Array, texels: Array) -> tuple[FloatArray, Array]:
        """Return linear RGB (n, 3) float32, bilinear, and codes (n,) uint8 at u, v in 0..1 (v upwards).

        texels: how many pixels of the finest level a ray covers; it selects the mipmap level.
        """
        level = np.clip(np.log2(np.maximum(texels, 1)) + 0.3, 0, LEVELS - 1).astype(np.int64)
        start, width, height = np.moveaxis(self.shape[texture, level], -1, 0)
        x = np.clip(u * width - 0.5, 0, width - 1).astype(np.float32)
        y = np.clip((1 - v) * height - 0.5, 0, height - 1).astype(np.float32)
        x0, y0 = x.astype(np.int64), y.astype(np.int64)
        x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
        fx, fy = (x - x0)[:, None], (y - y0)[:, None]
        top, bottom = start + y0 * width, start + y1 * width
        upper = LINEAR[self.pixels[top + x0, :3]] * (1 - fx) + LINEAR[self.pixels[top + x1, :3]] * fx
        lower = LINEAR[self.pixels[bottom + x0, :3]] * (1 - fx) + LINEAR[self.pixels[bottom + x1, :3]] * fx
        nearest = np.where(fy[:, 0] < 0.5, top, bottom) + np.where(fx[:, 0] < 0.5, x0, x1)
        return (upper * (1 - fy) + lower * fy).astype(np.float32), self.pixels[nearest, 3]


LINEAR = (((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
LINEAR[:11] = (np.arange(11) / 255 / 12.92).astype(np.float32)


def linear(colour: ArrayLike) -> FloatArray:
    """Convert sRGB 0..255 to linear 0..1."""
    return np.asarray(LINEAR[np.asarray(colour, np.uint8)])


def _halved(image: Array) -> Array:
    """Halve width and height: average the colours, keep the codes of every second pixel."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    mean = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 4).mean(axis=(1, 3))
    small: Array = (mean + 0.5).astype(np.uint8)
    small[..., 3] = padded[::2, ::2, 3]
    return small


@dataclass
class Mesh:
    """Triangles under construction, in blocks: corners (n, 3, 3) in metres (x, y, z up), uv (n, 3, 2), material (n,).

    materials: of each (red, green, blue in linear light, texture or -1, kind, emission, width, height)."""

    corners: list[Array] = field(default_factory=list)
    uv: list[Array] = field(default_factory=list)
    material: list[Array] = field(default_factory=list)
    materials: list[tuple[float, ...]] = field(default_factory=list)

    def copy(self) -> Mesh:
        """Return a copy that can be added to."""
        return Mesh(list(self.corners), list(self.uv), list(self.material), list(self.materials))

    def add_material(
        self,
        colour: ArrayLike = (200, 200, 200),
        texture: int = -1,
        kind: int = PLAIN,
        emission: float = 0.0,
        size: tuple[float, float] = (1.0, 1.0),
    ) -> int:
        """Add a material of one colour or with a texture, and return its number.

        emission: light it emits at night. size: width and height in metres of the texture.
        """
        self.materials.append((*linear(colour), texture, kind, emission, *size))
        return len(self.materials) - 1

    def quad(self, at: ArrayLike, right: ArrayLike, up: ArrayLike, material: int) -> None:
        """Add a parallelogram; `at` is its lower left corner as seen from where right x up points to."""
        at, right, up = (np.asarray(v, float) for v in (at, right, up))
        corners = np.array([at, at + right, at + right + up, at + up])
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        self.triangles(corners[[[0, 1, 2], [0, 2, 3]]], material, uv[[[0, 1, 2], [0, 2, 3]]])

    def triangles(self, corners: Array, material: int | Array, uv: Array | None = None) -> None:
        """Add triangles (n, 3, 3) with one material or one each, and texture coordinates (n, 3, 2)."""
        n = len(corners)
        self.corners.append(np.asarray(corners, np.float32))
        self.uv.append(np.zeros((n, 3, 2), np.float32) if uv is None else np.asarray(uv, np.float32))
        self.material.append(np.broadcast_to(np.asarray(material, np.int32), (n,)))

    def box(self, centre: ArrayLike, size: ArrayLike, heading: float, material: int, top: int | None = None) -> None:
        """Add a box without floor. centre: of its floor. size: (width, length, height), the length along `heading`."""
        across, along = axes(heading)
        wide, long, high = np.asarray(size)
        a, b, z = across * wide, along * long, np.array([0, 0, high])
        low = np.asarray(centre, float) - a / 2 - b / 2
        for corner, right in ((low, a), (low + a, b), (low + a + b, -a), (low + b, -b)):
            self.quad(corner, right, z, material)
        self.quad(low + z, a, b, material if top is None else top)

    def tube(
        self, foot: ArrayLike, head: ArrayLike, radius: float, material: int, tip: float | None = None, sides: int = 5
    ) -> None:
        """Add a branch or a post from foot to head. tip: radius at the head, by default that at the foot."""
        foot, head = np.asarray(foot, float), np.asarray(head, float)
        axis = head - foot
        axis /= np.linalg.norm(axis) + 1e-9
        one = np.cross(axis, [0.3, 0.9, 0.1] if abs(axis[2]) > 0.9 else [0, 0, 1.0])
        one /= np.linalg.norm(one)
        ring = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        circle = np.cos(ring)[:, None] * one + np.sin(ring)[:, None] * np.cross(axis, one)
        low, high = foot + radius * circle, head + (radius if tip is None else tip) * circle
        after = np.roll(np.arange(sides), -1)
        self.triangles(np.stack([low, low[after], high[after]], 1), material)
        self.triangles(np.stack([low, high[after], high], 1), material)


def axes(heading: float) -> tuple[Array, Array]:
    """Return unit vectors (3,) to the right of a heading and along it."""
    h = np.radians(heading)
    return np.array([np.cos(h), -np.sin(h), 0]), np.array([np.sin(h), np.cos(h), 0])
