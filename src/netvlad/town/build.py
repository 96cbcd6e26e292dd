"""A town on disk: panoramas with depth, their cut-outs, queries, and the truth about all of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from netvlad import __version__
from netvlad.errors import NetvladError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.runtime.files import atomic, write_json
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import cores, in_order
from netvlad.town.camera_pipeline import develop
from netvlad.town.capture_plan import SPLITS, Size, find_size, neighbourhoods, surveys, wanted_queries
from netvlad.town.light import Moment
from netvlad.town.render import BRIGHT, embree
from netvlad.town.survey import Shot, draw_query
from netvlad.town.tables import write_tables
from netvlad.town.world import Neighbourhood

FORMAT = 1
TOGETHER = 16  # photos of one moment that a worker takes in one go
CLOSE = 4.0  # metres: a phone that sees nothing farther away than this shows no place


@dataclass(frozen=True)
class _Job:
    """Photos of one neighbourhood at one moment. drawn: queries are drawn when the scene stands, by name and light."""

    seed: int
    number: int
    size: Size
    moment: Moment
    folder: Path
    shots: tuple[Shot, ...] = ()
    drawn: tuple[tuple[str, str], ...] = ()


def build_town(
    out: Path,
    seed: int = 7,
    size: Size | str = "small",
    *,
    gps: float = 2.0,
    compass: float = 1.5,
    workers: int | None = None,
) -> Path:
    """Build a town into the folder `out`; what is there of the same town already is kept, so a killed build goes on.

    gps: standard deviation of recorded positions in metres, along each axis; compass: of headings, in degrees.
    For each split a folder with panoramas/, depth/, panoramas.parquet; database/ (cut-outs); queries/; places.parquet,
    which is the last two with a split column; and truth.parquet. The same seed on the same machine gives the same town.
    Errors: NetvladError for an unknown size, a negative seed or error, a folder that holds something else, or without
    the extra `town`.
    """
    embree()
    out, size = Path(out), find_size(size)
    if not (seed >= 0 and 0 <= gps < np.inf and 0 <= compass < np.inf):
        raise NetvladError(f"a town of seed {seed}, gps {gps}, compass {compass}: 0 or more is wanted of each")
    _claim(out, {"seed": seed, **json.loads(json.dumps(asdict(size))), "gps": gps, "compass": compass})
    workers = cores() if workers is None else workers
    _take(list(_jobs(out, seed, size)), workers)
    for split in SPLITS:
        if neighbourhoods(size)[split]:
            write_tables(out / split, split, seed, size, gps, compass, workers)
    write_json(out / "town.json", {**_read(out / "town.json"), "whole": True})
    return out


def is_whole(out: Path) -> bool:
    """Whether a build into `out` came to its end."""
    return bool(_read(Path(out) / "town.json").get("whole"))


def _read(mark: Path) -> dict:
    """What a town says of itself; nothing where there is no town."""
    try:
        said = json.loads(mark.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _claim(out: Path, settings: dict) -> None:
    mark, mine = out / "town.json", {"format": FORMAT, **settings}
    there = _read(mark)
    if there:
        differ = [k for k in mine if there.get(k) != mine[k]]
        if differ:
            raise NetvladError(
                f"{out} holds another town ({', '.join(f'{k} {there.get(k)}, not {mine[k]}' for k in differ)}): "
                "choose another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise NetvladError(f"{out} holds other files: a town wants an empty folder")
    write_json(mark, {**mine, "netvlad": __version__, "whole": False})


def _jobs(out: Path, seed: int, size: Size) -> Iterator[_Job]:
    """Whatever is not there yet, one neighbourhood and moment after the other."""
    for split, numbers in neighbourhoods(size).items():
        for number in numbers:
            for moment, shots in surveys(seed, number, size, split):
                for part in _parts([s for s in shots if not _taken(out / split, s.name)]):
                    yield _Job(seed, number, size, moment, out / split, shots=part)
        for number, wanted in wanted_queries(seed, size, split):
            folder = out / split / "queries" / "photos"
            for moment, names in wanted:
                for part in _parts([n for n in names if not (folder / f"{n[0]}.jpg").exists()]):
                    yield _Job(seed, number, size, moment, folder, drawn=part)


def _taken(folder: Path, name: str) -> bool:
    return (folder / "panoramas" / f"{name}.jpg").exists() and (folder / "depth" / f"{name}.png").exists()


def _parts(wanted: list) -> Iterator[tuple]:
    for i in range(0, len(wanted), TOGETHER):
        yield tuple(wanted[i : i + TOGETHER])


def _take(jobs: list[_Job], workers: int) -> None:
    with progress("building the town", sum(len(j.shots) + len(j.drawn) for j in jobs)) as advance:
        for done in in_order(_work, jobs, workers if len(jobs) > 1 else 0):
            advance(done)


@lru_cache(maxsize=2)
def _neighbourhood(seed: int, number: int, streets: tuple[int, int]) -> Neighbourhood:
    return Neighbourhood.draw(seed, number, streets)


def _work(job: _Job) -> int:
    place = _neighbourhood(job.seed, job.number, job.size.streets)
    scene = place.scene(job.moment)
    for shot in job.shots:
        _panorama(place, scene, shot, job)
    for name, light in job.drawn:
        _query(place, scene, name, light, job)
    return len(job.shots) + len(job.drawn)


def _panorama(place: Neighbourhood, scene, shot: Shot, job: _Job) -> None:
    from netvlad.panoramas.panorama import write_depth

    width = job.size.width
    rays = panorama_rays(width, shot.heading)
    light, distance = scene.picture(place.to_world(np.array(shot.at)), rays, 2 * np.pi / width)
    write_depth(job.folder / "depth" / f"{shot.name}.png", distance)
    photo = develop(light, shot.lens, _rng(job.seed, shot.name))
    _save(job.folder / "panoramas" / f"{shot.name}.jpg", photo, shot)


def _query(place: Neighbourhood, scene, name: str, light: str, job: _Job) -> None:
    rng = _rng(job.seed, name)
    for _ in range(20):
        shot = draw_query(place, light, job.moment, name, job.size.photo, rng)
        origin, camera = place.to_world(np.array(shot.at)), shot.camera
        glance = Camera(camera.heading, camera.pitch, camera.roll, camera.fov, 24, 18)
        seen = scene.trace(*_rays(origin, glance))[1]
        if np.median(seen) > CLOSE and (seen < 1.2).mean() < 0.1:
            break
    fine = Camera(camera.heading, camera.pitch, camera.roll, camera.fov, 2 * camera.width, 2 * camera.height)
    seen = scene.look(origin, fine.rays().reshape(-1, 3), np.radians(camera.fov) / fine.width)[0]
    halved = np.minimum(seen, BRIGHT).reshape(camera.height, 2, camera.width, 2, 3).mean(axis=(1, 3))
    _save(job.folder / f"{name}.jpg", develop(halved, shot.lens, rng), shot)


def _rays(origin, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    rays = np.ascontiguousarray(camera.rays().reshape(-1, 3), np.float32)
    return np.ascontiguousarray(np.broadcast_to(np.float32(origin), rays.shape)), rays


def _save(path: Path, image: np.ndarray, shot: Shot) -> None:
    """The photo, and in its comment what is true of it, so that the two cannot part."""
    from PIL import Image

    truth = {"at": shot.at, "heading": shot.heading, "time": str(shot.moment.time), "weather": shot.moment.weather}
    truth["sun"] = round(shot.moment.elevation, 3)
    if shot.camera:
        truth |= {"pitch": shot.camera.pitch, "roll": shot.camera.roll, "fov": shot.camera.fov}
    with atomic(path) as temporary:
        Image.fromarray(image).save(temporary, "JPEG", quality=92, comment=json.dumps(truth).encode())


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
