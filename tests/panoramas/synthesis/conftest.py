"""Worlds whose every ray is known by formula: a ground plane, boxes on it, and a smooth pattern over all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from netvlad.panoramas import write_depth
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.synthesis.render import Panorama
from netvlad.places import Places

WAVES = np.array([[0.27, 0.08, 0.18], [0.05, 0.32, 0.12], [0.15, 0.1, 0.3]])  # radians a metre


@dataclass(frozen=True)
class World:
    """boxes: (low corner, high corner) in metres east, north, up; the ground is at 0."""

    boxes: tuple

    def distance(self, origin, rays: np.ndarray) -> np.ndarray:
        """Metres (...,) float64 from `origin` along unit rays (..., 3), inf to the sky."""
        with np.errstate(divide="ignore", invalid="ignore"):
            nearest = np.where(rays[..., 2] < 0, -origin[2] / rays[..., 2], np.inf)
            for low, high in self.boxes:
                one, two = (np.array(low) - origin) / rays, (np.array(high) - origin) / rays
                enter, leave = np.nanmax(np.minimum(one, two), -1), np.nanmin(np.maximum(one, two), -1)
                nearest = np.where((enter <= leave) & (enter > 0) & (enter < nearest), enter, nearest)
        return nearest

    def colours(self, origin, rays: np.ndarray) -> np.ndarray:
        """(..., 3) float64 in 0..255: a pattern of the point that is hit, of the direction where it is the sky."""
        metres = self.distance(origin, rays)[..., None]
        points = origin + np.where(metres < 1e3, metres, 0) * rays
        pattern = 127 + 60 * np.sin(points @ WAVES) + 50 * np.sin(2.3 * (points @ WAVES[::-1].T) + 1)
        return np.where(metres < 1e3, pattern, 150 + 80 * rays)

    def panorama(self, origin, heading: float = 0.0, width: int = 1024, depth_width: int = 1024) -> Panorama:
        photo = self.colours(origin, panorama_rays(width, heading))
        depth = self.distance(origin, panorama_rays(depth_width, heading))
        depth = np.where(depth > 655.35, np.inf, np.rint(depth * 100) / 100)  # as a file keeps it
        return Panorama(np.rint(np.clip(photo, 0, 255)).astype(np.uint8), depth.astype(np.float32), heading)

    def sees(self, panorama_at, origin, rays: np.ndarray) -> np.ndarray:
        """Whether a panorama sees what each ray from `origin` hits."""
        metres = self.distance(origin, rays)
        sky = ~np.isfinite(metres)
        towards = np.where(sky[..., None], rays, origin + np.where(sky, 0, metres)[..., None] * rays - panorama_at)
        apart = np.linalg.norm(towards, axis=-1)
        return self.distance(panorama_at, towards / apart[..., None]) >= np.where(sky, 1e9, apart * (1 - 1e-3))


@pytest.fixture(scope="session")
def room() -> World:
    """Walls all around, 40 m x 30 m, so high that they matter at any pitch; open to the sky."""
    walls = ((-21, -16, 0), (-20, 16, 15)), ((20, -16, 0), (21, 16, 15))
    return World((*walls, ((-21, -16, 0), (21, -15, 15)), ((-21, 15, 0), (21, 16, 15))))


@pytest.fixture(scope="session")
def corner() -> World:
    """A street along east, 16 m wide, houses on both sides, with a side street to the south."""
    far = ((-81, -30, 0), (-80, 30, 12)), ((80, -30, 0), (81, 30, 12)), ((-80, -60, 0), (80, -59, 12))
    return World((((-80, 8, 0), (80, 20, 12)), ((-80, -20, 0), (-5, -8, 9)), ((3, -20, 0), (80, -8, 14)), *far))


@pytest.fixture(scope="session")
def plain() -> World:
    """Nothing but the ground."""
    return World(())


@pytest.fixture(scope="session")
def world():
    """world(*boxes): a world of one's own."""
    return lambda *boxes: World(boxes)


@pytest.fixture(scope="session")
def cameras() -> list[Camera]:
    return [Camera(heading, 12.0, 0.0, 60.0, 128, 96) for heading in range(0, 360, 30)]


@pytest.fixture
def folder(tmp_path):
    """folder(world, positions (N, 2), headings, times, ...) -> the places of panoramas written in the usual way."""

    def write(world: World, at, heading=30.0, time="2025-05-05T12:00:00", depth=True, name="town", **columns) -> Places:
        headings = np.broadcast_to(heading, len(at))
        for i, (x, y) in enumerate(at):
            one = world.panorama((x, y, 2.5), np.nan_to_num(headings[i]), 512, 256)
            photo = tmp_path / name / "panoramas" / f"{i}.png"
            photo.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one.photo).save(photo)
            if depth:
                write_depth(tmp_path / name / "depth" / f"{i}.png", one.depth)
        east, north = 500_000 + np.array(at, float).T[0], 3_459_810 + np.array(at, float).T[1]
        path = [tmp_path / name / "panoramas" / f"{i}.png" for i in range(len(at))]
        where = {"easting": east, "northing": north, "utm": 32636}  # in the zone's middle, where its north is true
        return Places.build(path=path, **where, heading=headings, time=time, **columns)

    return write
