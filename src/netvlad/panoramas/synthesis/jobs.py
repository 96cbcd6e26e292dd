"""The work of view synthesis in pieces: one for each panorama, of all virtual positions that are nearest to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, PlacesError
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.panorama import depth_path, read_depth, read_panorama
from netvlad.panoramas.synthesis.grid import VirtualPosition
from netvlad.panoramas.synthesis.render import Panorama, fill_narrow, render
from netvlad.places import Places
from netvlad.runtime.files import atomic
from netvlad.runtime.workers import default_workers, in_order

QUALITY = 90  # of WebP; its alpha is kept without loss


@dataclass(frozen=True)
class Job:
    """positions: all with the same nearest panorama; sources: row -> path and heading of a panorama."""

    positions: list[VirtualPosition]
    sources: dict[int, tuple[str, float]]
    out: Path
    cameras: list[Camera]
    max_holes: float
    max_stretch: float


@dataclass(frozen=True)
class Made:
    """views: name -> share of holes, kept or not; new: how many files were written; unusable: panorama -> reason."""

    views: dict[str, float]
    new: int
    unusable: dict[str, str]


def view_name(position: VirtualPosition, camera: Camera) -> str:
    return f"photos/{position.name}/{camera.heading:03.0f}.webp"


def panorama_depth(photo: str | os.PathLike) -> np.ndarray:
    """The depth (h, 2h) of a panorama's photo. Errors: ImageError, PlacesError for other proportions."""
    path = depth_path(photo)
    depth = read_depth(path)
    height, width = depth.shape
    if width != 2 * height or height < 2:
        raise PlacesError(f"{path}: {width}x{height} is no panorama, which is twice as wide as high")
    return depth


def jobs(
    panoramas: Places,
    positions: Iterable[VirtualPosition],
    out: Path,
    cameras: list[Camera],
    max_holes: float,
    max_stretch: float,
) -> list[Job]:
    """In order of the first position of each."""
    nearest: dict[int, list[VirtualPosition]] = {}
    for position in positions:
        nearest.setdefault(position.sources[0], []).append(position)
    found = []
    for mine in nearest.values():
        rows = sorted({row for position in mine for row in position.sources})
        sources = {row: (panoramas.path[row], float(panoramas.heading[row])) for row in rows}
        found.append(Job(mine, sources, out, cameras, max_holes, max_stretch))
    return found


def make_all(todo: list[Job], workers: int | None) -> Iterator[Made]:
    """`make` of each job, in order; workers: as for `synthesise`. Errors: NetvladError when a worker dies."""
    yield from in_order(make, todo, default_workers(len(todo), workers))


def make(job: Job) -> Made:
    """Cast a job's views and write those that are not there yet and have few enough holes.

    A position whose nearest panorama cannot be read is cast from its others; one that has none left has no views.
    """
    loaded, unusable = {}, {}
    for row, (path, heading) in job.sources.items():
        try:
            loaded[row] = Panorama(read_panorama(path), panorama_depth(path), heading)
        except NetvladError as e:
            unusable[path] = str(e).removeprefix(f"{path}: ")
    views, new = {}, 0
    for position in job.positions:
        at = [i for i, row in enumerate(position.sources) if row in loaded]
        if not at:
            continue
        sources, offsets = [loaded[position.sources[i]] for i in at], [position.offsets[i] for i in at]
        for camera, photo in zip(job.cameras, render(sources, offsets, job.cameras, job.max_stretch), strict=True):
            name, photo = view_name(position, camera), fill_narrow(photo)
            views[name] = round(float((photo[..., 3] == 0).mean()), 4)
            if views[name] <= job.max_holes and not (job.out / name).exists():
                _write(job.out / name, photo)
                new += 1
    return Made(views, new, unusable)


def _write(path: Path, photo: np.ndarray) -> None:
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(photo).save(temporary, "WEBP", quality=QUALITY, method=2)  # as small as 4, in half the time
