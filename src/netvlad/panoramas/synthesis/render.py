"""Renders virtual photos: colours of panoramas where the rays of virtual cameras lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from netvlad.panoramas.camera import Camera
from netvlad.panoramas.synthesis.ray_casting import RayCaster, remap
from netvlad.types import Array, FloatArray

RAYS_AT_ONCE = 1_000_000  # about 0.1 GB
NARROW = 1 / 36  # share of a view's width up to which holes, beside posts and between leaves, are filled


@dataclass(frozen=True, eq=False)
class Panorama:
    """A panorama with depth.

    photo: (H, 2H, 3) or, with alpha 0 where it is undefined, (H, 2H, 4) uint8. depth: (h, 2h) metres along each ray,
    NaN unknown, inf sky. heading: degrees, of the middle column.
    """

    photo: Array
    depth: Array
    heading: float


def render(
    sources: Sequence[Panorama], offsets: Sequence[Array], cameras: Iterable[Camera], max_stretch: float = np.inf
) -> Iterator[Array]:
    """Yield the view of each camera from one virtual position: (height, width, 4) uint8, alpha 255, or 0 for a hole.

    offsets: for each source the (3,) metres east, north, up from it to the virtual position. Each source fills the
    holes that those before it leave. A pixel is the mean of 2 x 2 rays if a photo is finer than the view, and a hole
    if more than half of them are lost. max_stretch: as in `RayCaster`.
    """
    casters = [RayCaster(s.depth, s.heading, o, max_stretch) for s, o in zip(sources, offsets, strict=True)]
    prepared: dict[tuple[int, int], Array] = {}
    for camera in cameras:
        side, shrinks = 1, []
        for source in sources:
            ratio = source.photo.shape[1] / (2 * np.pi * camera.focal)  # pixels of the photo in one of the view
            shrinks.append(max(1, int(ratio / 1.25)))
            side = 2 if ratio / shrinks[-1] > 1 else side
        for i, shrink in enumerate(shrinks):
            if (i, shrink) not in prepared:
                prepared[i, shrink] = _prepare(sources[i].photo, shrink)
        photos = [prepared[i, shrink] for i, shrink in enumerate(shrinks)]
        fine = replace(camera, heading=0.0, width=side * camera.width, height=side * camera.height)
        seen = np.empty((fine.height, fine.width, 4), np.uint8)
        rows = max(1, RAYS_AT_ONCE // fine.width)
        for start in range(0, fine.height, rows):
            rays = _turned(_rays(fine, start, min(start + rows, fine.height)), camera.heading)
            seen[start : start + rows] = _colours(rays, casters, photos, [s.heading for s in sources])
        yield _mean(seen, side)


@lru_cache(maxsize=4)
def _rays(camera: Camera, start: int, stop: int) -> FloatArray:
    return np.asarray(camera.rays(*np.meshgrid(np.arange(camera.width), np.arange(start, stop))), np.float32)


def _turned(rays: Array, heading: float) -> Array:
    """Rays of a camera of heading 0, for another heading."""
    s, c = np.sin(np.radians(heading)), np.cos(np.radians(heading))
    return np.asarray(rays @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32))


def _prepare(photo: Array, shrink: int) -> Array:
    """RGBA, `shrink` times smaller, with one more column on either side, where it wraps around."""
    if photo.shape[2] == 3:
        photo = np.concatenate([photo, np.full_like(photo[..., :1], 255)], axis=-1)
    if shrink > 1:
        height = max(2, photo.shape[0] // shrink)
        photo = cv2.resize(photo, (2 * height, height), interpolation=cv2.INTER_AREA)
    return np.concatenate([photo[:, -1:], photo, photo[:, :1]], axis=1)


def _colours(rays: Array, casters: list[RayCaster], photos: list[Array], headings: list[float]) -> Array:
    """RGBA (..., 4) of rays (..., 3), each from the first source that sees what it hits."""
    seen = np.zeros((*rays.shape[:-1], 4), np.uint8)
    open_ = np.ones(rays.shape[:-1], bool)
    for caster, photo, heading in zip(casters, photos, headings, strict=True):
        directions = caster.directions(rays[open_])
        found = _sample(photo, directions, heading)
        found[np.isnan(directions[:, 0])] = 0
        seen[open_] = found
        open_ = seen[..., 3] < 128
        if not open_.any():
            break
    seen[open_] = 0
    seen[~open_, 3] = 255
    return seen


def _sample(photo: Array, directions: Array, heading: float) -> Array:
    """RGBA (n, 4) of a prepared photo in directions (n, 3)."""
    height, width = photo.shape[0], photo.shape[1] - 2
    east, north, up = directions.T
    turn = np.arctan2(east, north) * np.float32(1 / (2 * np.pi)) - np.float32(heading / 360 - 0.5)
    x = (turn % 1.0) * width + np.float32(0.5)
    y = np.float32(height / 2 - 0.5) - np.arcsin(np.clip(up, -1, 1)) * np.float32(height / np.pi)
    return remap(photo, np.nan_to_num(x), np.nan_to_num(y))


def _mean(seen: Array, side: int) -> Array:
    """The mean of the defined rays among the side x side of each pixel; undefined pixels are black."""
    if side == 1:
        return seen
    height, width = seen.shape[0] // side, seen.shape[1] // side
    cells = np.stack([seen[i::side, j::side] for i in range(side) for j in range(side)])
    count = (cells[..., 3:] > 0).sum(axis=0, dtype=np.uint16)
    total = cells[..., :3].sum(axis=0, dtype=np.uint16)  # undefined rays are 0
    out = np.empty((height, width, 4), np.uint8)
    out[..., :3] = (total + count // 2) // np.maximum(count, 1)
    out[..., 3:] = np.where(2 * count >= side * side, 255, 0)
    out[out[..., 3] == 0] = 0
    return out


def fill_narrow(view: Array) -> Array:
    """Fill the holes narrower than NARROW of an RGBA `view` by a Gaussian mean of the defined pixels around them.

    Local features that touch a hole are dropped, so without this they would be lost in front of every tree.
    """
    size = round(NARROW * view.shape[1]) // 2 * 2 + 1
    defined = (view[..., 3] > 0).astype(np.uint8)
    if size < 3 or defined.all() or not defined.any():
        return view
    narrow = (cv2.morphologyEx(defined, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)) > 0) & (defined == 0)
    if narrow.any():
        near = cv2.GaussianBlur(view.astype(np.float32), (2 * size + 1, 2 * size + 1), size / 4)  # holes are all 0
        view = view.copy()
        view[narrow, :3] = np.rint(near[narrow, :3] / np.maximum(near[narrow, 3:], 1e-3) * 255)
        view[narrow, 3] = 255
    return view
