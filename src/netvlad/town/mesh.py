"""What the town is made of: triangles, each with a surface; surfaces, each with a colour or a texture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PLAIN, GROUND, LEAF, WATER = range(4)  # how a surface takes light and weather
LEVELS = 6  # of a texture's pyramid: from a wall at arm's length to one at the end of the street


class Textures:
    """Painted rectangles, each with its pyramid, in one flat array, so that millions of points are looked up at once.

    A texture is (h, w, 4) uint8: sRGB and a code, 0 for matter, 1..253 the number of a window, 254 a lit sign.
    """

    def __init__(self) -> None:
        self._pixels: list[np.ndarray] = []
        self._shape: list[list[tuple[int, int, int]]] = []
        self._size = 0

    def add(self, image: np.ndarray) -> int:
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
        """Make what was added ready to be looked up."""
        self.pixels = np.concatenate(self._pixels) if self._pixels else np.zeros((0, 4), np.uint8)
        self.shape = np.array(self._shape, np.int64).reshape(-1, LEVELS, 3)

    def copy(self) -> Textures:
        """One that can be added to without changing this one; the pixels are shared."""
        other = Textures()
        other._pixels, other._shape, other._size = list(self._pixels), list(self._shape), self._size
        return other

    def look_up(self, texture: np.ndarray, u: np.ndarray, v: np.ndarray, texels: np.ndarray):
        """Linear RGB (n, 3) float32 and codes (n,) uint8 at u, v in 0..1 (v upwards).

        texels: how many of the finest pixels one ray covers: it chooses the level of the pyramid.
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


def linear(colour) -> np.ndarray:
    """sRGB 0..255 -> linear 0..1."""
    return LINEAR[np.asarray(colour, np.uint8)]


def _halved(image: np.ndarray) -> np.ndarray:
    """Half as wide and high: colours averaged, codes of every second pixel."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    small = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 4).mean(axis=(1, 3))
    small = (small + 0.5).astype(np.uint8)
    small[..., 3] = padded[::2, ::2, 3]
    return small


@dataclass
class Mesh:
    """Triangles under construction: corners (n, 3, 3) in metres (x, y, z up), uv (n, 3, 2), surface (n,)."""

    corners: list[np.ndarray] = field(default_factory=list)
    uv: list[np.ndarray] = field(default_factory=list)
    surface: list[np.ndarray] = field(default_factory=list)
    kinds: list[tuple] = field(default_factory=list)

    def copy(self) -> Mesh:
        """One that can be added to without changing this one."""
        return Mesh(list(self.corners), list(self.uv), list(self.surface), list(self.kinds))

    def add_surface(
        self, colour=(200, 200, 200), texture: int = -1, kind: int = PLAIN, glow=0.0, size=(1.0, 1.0)
    ) -> int:
        """glow: light it sends out itself at night; size: width and height in metres that uv 0..1 stand for."""
        self.kinds.append((*linear(colour), texture, kind, glow, *size))
        return len(self.kinds) - 1

    def quad(self, at, right, up, surface: int) -> None:
        """A parallelogram from its lower left corner, seen from the side that right x up points to."""
        at, right, up = (np.asarray(v, float) for v in (at, right, up))
        corners = np.array([at, at + right, at + right + up, at + up])
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        self.triangles(corners[[[0, 1, 2], [0, 2, 3]]], surface, uv[[[0, 1, 2], [0, 2, 3]]])

    def triangles(self, corners: np.ndarray, surface: int | np.ndarray, uv: np.ndarray | None = None) -> None:
        n = len(corners)
        self.corners.append(np.asarray(corners, np.float32))
        self.uv.append(np.zeros((n, 3, 2), np.float32) if uv is None else np.asarray(uv, np.float32))
        self.surface.append(np.broadcast_to(np.asarray(surface, np.int32), (n,)))

    def box(self, centre, size, heading: float, surface: int, top: int | None = None) -> None:
        """A box on centre (x, y, z of its floor's middle), of size (wide, long, high), its long side along heading."""
        across, along = axes(heading)
        wide, long, high = size
        a, b, z = across * wide, along * long, np.array([0, 0, high])
        low = np.asarray(centre, float) - a / 2 - b / 2
        for corner, right in ((low, a), (low + a, b), (low + a + b, -a), (low + b, -b)):
            self.quad(corner, right, z, surface)
        self.quad(low + z, a, b, surface if top is None else top)

    def tube(self, foot, head, radius: float, surface: int, tip: float | None = None, sides: int = 5) -> None:
        """A branch or a post from foot to head."""
        foot, head = np.asarray(foot, float), np.asarray(head, float)
        axis = head - foot
        axis /= np.linalg.norm(axis) + 1e-9
        one = np.cross(axis, [0.3, 0.9, 0.1] if abs(axis[2]) > 0.9 else [0, 0, 1.0])
        one /= np.linalg.norm(one)
        ring = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        circle = np.cos(ring)[:, None] * one + np.sin(ring)[:, None] * np.cross(axis, one)
        low, high = foot + radius * circle, head + (radius if tip is None else tip) * circle
        after = np.roll(np.arange(sides), -1)
        self.triangles(np.stack([low, low[after], high[after]], 1), surface)
        self.triangles(np.stack([low, high[after], high], 1), surface)


def axes(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors to the right of a heading and along it."""
    h = np.radians(heading)
    return np.array([np.cos(h), -np.sin(h), 0]), np.array([np.sin(h), np.cos(h), 0])
