"""Builds a town on disk: panoramas with depth, their cut-outs, queries, and ground truth."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from netvlad import __version__
from netvlad.errors import NetvladError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.panorama import write_depth
from netvlad.runtime.files import atomic, write_json
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import cores, in_order
from netvlad.town.camera_pipeline import apply_camera
from netvlad.town.capture_plan import SPLITS, Size, find_size, neighbourhoods, planned_queries, surveys
from netvlad.town.light import Moment
from netvlad.town.render import MAX_RADIANCE, Scene, embree
from netvlad.town.survey import Query, Shot, draw_query
from netvlad.town.tables import LAST, write_tables
from netvlad.town.world import Neighbourhood
from netvlad.types import Array, FloatArray

T = TypeVar("T")

FORMAT = 1
CHUNK = 16  # photos of one moment in a job
CLOSE = 4.0  # metres: a photo of a wall nearer than this shows no place


@dataclass(frozen=True)
class _Job:
    """Photos of one neighbourhood at one moment: panoramas, and queries (name, light) drawn in its scene."""

    seed: int
    number: int
    size: Size
    moment: Moment
    folder: Path
    shots: tuple[Shot, ...] = ()
    queries: tuple[tuple[str, str], ...] = ()


def build_town(
    out: Path,
    seed: int = 7,
    size: Size | str = "small",
    *,
    gps: float = 2.0,
    compass: float = 1.5,
    splits: Collection[str] = SPLITS,
    workers: int | None = None,
) -> Path:
    """Build a town into the folder `out` and return it. Photos that exist are kept, so a killed build can be resumed.

    gps: standard deviation of recorded positions in metres, along each axis. compass: of headings, in degrees.
    splits: those to draw; the others can be drawn later. workers: processes; 0 builds here, by default one per core.
    Each split has a folder with panoramas/, depth/, panoramas.parquet; database/ (cut-outs); queries/; places.parquet,
    which is the last two with a split column; and truth.parquet. The same seed on the same machine gives the same town.
    Raises NetvladError for an unknown size or split, a negative seed or error, a folder that holds something else, a
    worker that dies, or if the extra `town` is missing.
    """
    embree()
    out, size = Path(out), find_size(size)
    if not (seed >= 0 and 0 <= gps < np.inf and 0 <= compass < np.inf):
        raise NetvladError(f"a town of seed {seed}, gps {gps}, compass {compass}: each must be 0 or more")
    if unknown := sorted(set(splits) - set(SPLITS)):
        raise NetvladError(f"a town has no split {unknown[0]!r}: choose among {', '.join(SPLITS)}")
    described = json.loads(json.dumps(asdict(size)))
    claim(out, "town.json", {"format": FORMAT, "seed": seed, **described, "gps": gps, "compass": compass})
    workers = cores() if workers is None else workers
    jobs = [job for split in SPLITS if split in splits for job in _jobs(out, seed, size, split)]
    with progress("building the town", sum(len(job.shots) + len(job.queries) for job in jobs)) as advance:
        for done in in_order(_work, jobs, workers if len(jobs) > 1 else 0):
            advance(done)
    for split in SPLITS:
        if split in splits and neighbourhoods(size)[split]:
            write_tables(out / split, split, seed, size, gps, compass, workers)
    whole = all(is_whole(out, split) for split in SPLITS if split not in splits and neighbourhoods(size)[split])
    write_json(out / "town.json", {**_read(out / "town.json"), "whole": whole})
    return out


def is_whole(out: Path, split: str | None = None) -> bool:
    """Whether `out` holds a complete town, or a complete split of one."""
    if split is None:
        return bool(_read(Path(out) / "town.json").get("whole"))
    return (Path(out) / split / LAST).is_file()


def _read(mark: Path) -> dict[str, Any]:
    """The settings in town.json; empty if there is no town."""
    try:
        said = json.loads(mark.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def claim(out: Path, mark: str, settings: dict[str, Any]) -> None:
    """Write `settings` as the JSON file `mark`. Raises NetvladError if `out` holds other settings or other files."""
    there = _read(out / mark)
    if there:
        differ = [k for k in settings if there.get(k) != settings[k]]
        if differ:
            listed = ", ".join(f"{k} {there.get(k)}, not {settings[k]}" for k in differ)
            raise NetvladError(f"holds another town ({listed}): choose another folder", path=out)
        return
    if out.exists() and any(out.iterdir()):
        raise NetvladError("holds other files: a town needs an empty folder", path=out)
    write_json(out / mark, {**settings, "netvlad": __version__, "whole": False})


def _jobs(out: Path, seed: int, size: Size, split: str) -> Iterator[_Job]:
    """Yield jobs for the photos of a split that are missing, one neighbourhood and moment after the other."""
    for number in neighbourhoods(size)[split]:
        for moment, shots in surveys(seed, number, size, split):
            for part in _parts([s for s in shots if not _exists(out / split, s.name)]):
                yield _Job(seed, number, size, moment, out / split, shots=part)
    for number, wanted in planned_queries(seed, size, split):
        folder = out / split / "queries" / "photos"
        for moment, names in wanted:
            for queries in _parts([n for n in names if not (folder / f"{n[0]}.jpg").exists()]):
                yield _Job(seed, number, size, moment, folder, queries=queries)


def _exists(folder: Path, name: str) -> bool:
    return (folder / "panoramas" / f"{name}.jpg").exists() and (folder / "depth" / f"{name}.png").exists()


def _parts(wanted: list[T]) -> Iterator[tuple[T, ...]]:
    for i in range(0, len(wanted), CHUNK):
        yield tuple(wanted[i : i + CHUNK])


@lru_cache(maxsize=2)
def _neighbourhood(seed: int, number: int, streets: tuple[int, int]) -> Neighbourhood:
    return Neighbourhood.draw(seed, number, streets)


def _work(job: _Job) -> int:
    place = _neighbourhood(job.seed, job.number, job.size.streets)
    scene = place.scene(job.moment)
    for shot in job.shots:
        _panorama(place, scene, shot, job)
    for name, light in job.queries:
        _query(place, scene, name, light, job)
    return len(job.shots) + len(job.queries)


def _panorama(place: Neighbourhood, scene: Scene, shot: Shot, job: _Job) -> None:
    width = job.size.width
    rays = panorama_rays(width, shot.heading)
    light, distance = scene.render(place.to_world(np.array(shot.position)), rays, 2 * np.pi / width)
    write_depth(job.folder / "depth" / f"{shot.name}.png", distance)
    photo = apply_camera(light, shot.settings, photo_rng(job.seed, shot.name))
    save_photo(job.folder / "panoramas" / f"{shot.name}.jpg", photo, shot)


def _query(place: Neighbourhood, scene: Scene, name: str, light: str, job: _Job) -> None:
    """Draw a query that is not of a wall close by, and take it."""
    rng = photo_rng(job.seed, name)
    for _ in range(20):
        shot = draw_query(place, light, job.moment, name, job.size.photo, rng)
        distance = sees(place, scene, shot)
        if np.median(distance) > CLOSE and (distance < 1.2).mean() < 0.1:
            break
    save_photo(job.folder / f"{name}.jpg", take_photo(place, scene, shot, rng), shot)


def sees(place: Neighbourhood, scene: Scene, shot: Query) -> FloatArray:
    """Distances (n,) in metres along some rays of a photo."""
    camera = shot.camera
    glance = Camera(camera.heading, camera.pitch, camera.roll, camera.fov, 24, 18)
    rays = np.ascontiguousarray(glance.rays().reshape(-1, 3), np.float32)
    origins = np.tile(np.float32(place.to_world(np.array(shot.position))), (len(rays), 1))
    return scene.intersect(origins, rays)[1]


def take_photo(place: Neighbourhood, scene: Scene, shot: Query, rng: np.random.Generator) -> Array:
    """Take a perspective photo (H, W, 3) uint8, drawn at twice its resolution."""
    origin, camera = place.to_world(np.array(shot.position)), shot.camera
    fine = Camera(camera.heading, camera.pitch, camera.roll, camera.fov, 2 * camera.width, 2 * camera.height)
    seen = scene.radiance(origin, fine.rays().reshape(-1, 3), np.radians(camera.fov) / fine.width)[0]
    halved = np.minimum(seen, MAX_RADIANCE).reshape(camera.height, 2, camera.width, 2, 3).mean(axis=(1, 3))
    return apply_camera(halved, shot.settings, rng)


def save_photo(path: Path, image: Array, shot: Shot) -> None:
    """Write the photo with its ground truth in the JPEG comment, so that neither exists without the other."""
    moment = shot.moment
    ground_truth = {"at": shot.position, "heading": shot.heading, "time": str(moment.time), "weather": moment.weather}
    ground_truth["sun"] = round(moment.elevation, 3)
    if isinstance(shot, Query):
        ground_truth |= {"pitch": shot.camera.pitch, "roll": shot.camera.roll, "fov": shot.camera.fov}
    with atomic(path) as temporary:
        Image.fromarray(image).save(temporary, "JPEG", quality=92, comment=json.dumps(ground_truth).encode())


def photo_rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
