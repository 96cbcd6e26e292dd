"""Cameras: which way each pixel looks, and which pixel looks which way.

Directions are unit vectors (east, north, up). Angles in degrees: heading clockwise from north, pitch up, roll to the
right (the camera's right side sinks). Pixel (0, 0) is the upper left one and its centre is at (0, 0).
A panorama is equirectangular, twice as wide as high, and shows its `heading` halfway across.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
            raise ValueError(f"a field of view of {self.fov} degrees: more than 0 and less than 180 are wanted")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a camera of {self.width}x{self.height} pixels")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / (2 * np.tan(np.radians(self.fov) / 2))

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) float64: rows right, up, forward as (east, north, up)."""
        h, p, r = np.radians([self.heading, self.pitch, self.roll])
        forward = np.array([np.sin(h) * np.cos(p), np.cos(h) * np.cos(p), np.sin(p)])
        level = np.array([np.cos(h), -np.sin(h), 0.0])
        up = np.cross(level, forward)
        return np.stack([np.cos(r) * level - np.sin(r) * up, np.sin(r) * level + np.cos(r) * up, forward])

    def rays(self, x: np.ndarray | None = None, y: np.ndarray | None = None) -> np.ndarray:
        """Directions (..., 3) float64 of pixels at x, y, by default of every pixel: (height, width, 3)."""
        if x is None or y is None:
            x, y = np.meshgrid(np.arange(self.width), np.arange(self.height))
        right, up, forward = self.axes
        u = (np.asarray(x, float) - (self.width - 1) / 2) / self.focal
        v = (np.asarray(y, float) - (self.height - 1) / 2) / self.focal
        rays = forward + u[..., None] * right - v[..., None] * up
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def pixels(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x, y (...) float64 where directions (..., 3) of any length are seen; NaN behind the camera."""
        right, up, forward = self.axes
        depth = directions @ forward
        depth = np.where(depth > 1e-12, depth, np.nan)
        x = self.focal * (directions @ right) / depth + (self.width - 1) / 2
        y = -self.focal * (directions @ up) / depth + (self.height - 1) / 2
        return x, y


def panorama_rays(width: int, heading: float = 0.0) -> np.ndarray:
    """Directions (width // 2, width, 3) float64 of a panorama's pixels."""
    height = width // 2
    azimuth = np.radians(heading + ((np.arange(width) + 0.5) / width - 0.5) * 360)
    elevation = np.radians(90 - (np.arange(height) + 0.5) / height * 180)[:, None]
    level = np.cos(elevation)
    return np.stack(
        [level * np.sin(azimuth), level * np.cos(azimuth), np.broadcast_to(np.sin(elevation), (height, width))], axis=-1
    )


def panorama_pixels(directions: np.ndarray, width: int, heading: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """x in [-0.5, width - 0.5), y (...) float64 where a panorama shows directions (..., 3) of any length but 0."""
    east, north, up = np.moveaxis(np.asarray(directions, float), -1, 0)
    turn = (np.degrees(np.arctan2(east, north)) - heading) / 360 + 0.5
    elevation = np.degrees(np.arctan2(up, np.hypot(east, north)))
    return (turn % 1.0) * width - 0.5, (90 - elevation) / 180 * (width // 2) - 0.5
