"""Perspective and equirectangular cameras: directions of pixels, and pixels of directions.

Directions are unit vectors (east, north, up). Angles in degrees: heading clockwise from north, pitch up, roll to the
right (the camera's right side sinks). The centre of the upper left pixel is at (0, 0).
A panorama is equirectangular, twice as wide as high, and shows its `heading` in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.types import Array


@dataclass(frozen=True)
class Camera:
    """A perspective camera with square pixels; fov: horizontal field of view."""

    heading: float
    pitch: float = 0.0
    roll: float = 0.0
    fov: float = 60.0
    width: int = 640
    height: int = 480

    def __post_init__(self) -> None:
        if not 0 < self.fov < 180:
            raise ValueError(f"the field of view must lie between 0 and 180 degrees, got {self.fov}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a camera must have pixels, got {self.width}x{self.height}")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return float(self.width / (2 * np.tan(np.radians(self.fov) / 2)))

    @property
    def axes(self) -> Array:
        """(3, 3) float64: rows right, up, forward as (east, north, up)."""
        h, p, r = np.radians([self.heading, self.pitch, self.roll])
        forward = np.array([np.sin(h) * np.cos(p), np.cos(h) * np.cos(p), np.sin(p)])
        level = np.array([np.cos(h), -np.sin(h), 0.0])
        up = np.cross(level, forward)
        return np.stack([np.cos(r) * level - np.sin(r) * up, np.sin(r) * level + np.cos(r) * up, forward])

    def rays(self, x: Array | None = None, y: Array | None = None) -> Array:
        """Directions (..., 3) float64 of the pixels at x, y; of every pixel, (height, width, 3), by default."""
        if x is None or y is None:
            x, y = np.meshgrid(np.arange(self.width), np.arange(self.height))
        right, up, forward = self.axes
        u = (np.asarray(x, float) - (self.width - 1) / 2) / self.focal
        v = (np.asarray(y, float) - (self.height - 1) / 2) / self.focal
        rays = forward + u[..., None] * right - v[..., None] * up
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def pixels(self, directions: Array) -> tuple[Array, Array]:
        """x, y (...) float64 of the pixels that see directions (..., 3) of any length; NaN behind the camera."""
        right, up, forward = self.axes
        depth = directions @ forward
        depth = np.where(depth > 1e-12, depth, np.nan)
        x = self.focal * (directions @ right) / depth + (self.width - 1) / 2
        y = -self.focal * (directions @ up) / depth + (self.height - 1) / 2
        return x, y


def panorama_rays(width: int, heading: float = 0.0) -> Array:
    """Directions (width // 2, width, 3) float64 of the pixels of a panorama."""
    height = width // 2
    azimuth = np.radians(heading + ((np.arange(width) + 0.5) / width - 0.5) * 360)
    elevation = np.radians(90 - (np.arange(height) + 0.5) / height * 180)[:, None]
    level = np.cos(elevation)
    return np.stack(
        [level * np.sin(azimuth), level * np.cos(azimuth), np.broadcast_to(np.sin(elevation), (height, width))], axis=-1
    )


def panorama_pixels(directions: Array, width: int, heading: float = 0.0) -> tuple[Array, Array]:
    """x in [-0.5, width - 0.5) and y (...) float64 at which a panorama shows directions (..., 3) of nonzero length."""
    east, north, up = np.moveaxis(np.asarray(directions, float), -1, 0)
    turn = (np.degrees(np.arctan2(east, north)) - heading) / 360 + 0.5
    elevation = np.degrees(np.arctan2(up, np.hypot(east, north)))
    return (turn % 1.0) * width - 0.5, (90 - elevation) / 180 * (width // 2) - 0.5
