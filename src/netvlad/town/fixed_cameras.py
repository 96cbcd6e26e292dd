"""Draws what fixed cameras of a town see by day and by night, in all weathers and seasons: classes for WCCN."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError
from netvlad.runtime.files import atomic
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import cores, in_order
from netvlad.town.build import claim, photo_rng, save_photo, sees, take_photo
from netvlad.town.light import Moment
from netvlad.town.render import embree
from netvlad.town.survey import Query, draw_camera_settings, draw_query, query_moments, survey_moments
from netvlad.town.world import Neighbourhood

DISTANT, NEAR = 8.0, 2.0  # metres: half of a camera's view is farther away, nearly all of it is not nearer
BY_CAR = 4  # one moment of so many is of the survey's dates, which cover other years and hours
FORMAT = 1


@dataclass(frozen=True)
class _Job:
    seed: int
    number: int
    streets: tuple[int, int]
    moments: int
    cameras: int
    photo: tuple[int, int]
    moment: int
    folder: Path


def build_fixed_cameras(
    out: Path,
    seed: int = 11,
    *,
    neighbourhoods: int = 3,
    cameras: int = 5,
    moments: int = 24,
    photo: tuple[int, int] = (320, 240),
    streets: tuple[int, int] = (2, 2),
    workers: int | None = None,
) -> Path:
    """Draw `moments` photos by each of `cameras` fixed cameras in each neighbourhood, into `out`; return its table.

    photo: (width, height). streets: along each axis of a neighbourhood. workers: processes; 0 draws here, by default
    one per core. The table, places.csv, has the columns path, place (the camera) and time (UTC); `netvlad fit
    --cameras` takes it. The same seed gives the same photos, and a killed build goes on. Raises NetvladError for counts
    below 1, fewer than two moments, a folder that holds something else, and if the extra `town` is missing.
    """
    embree()
    if min(neighbourhoods, cameras, *photo, *streets) < 1 or moments < 2 or seed < 0:
        raise NetvladError("fixed cameras need a neighbourhood, a camera, two moments and a size; a seed is 0 or more")
    out = Path(out)
    counts = {"neighbourhoods": neighbourhoods, "cameras": cameras, "moments": moments}
    sizes = {"photo": list(photo), "streets": list(streets)}
    claim(out, "cameras.json", {"format": FORMAT, "seed": seed, **counts, **sizes})
    jobs = [
        _Job(seed, number, streets, moments, cameras, photo, moment, out)
        for number in range(neighbourhoods)
        for moment in range(moments)
    ]
    missing = [job for job in jobs if not all((out / name).exists() for name, _ in _names(job))]
    workers = cores() if workers is None else workers
    with progress("drawing fixed cameras", len(missing) * cameras) as advance:
        for done in in_order(_draw, missing, workers if len(missing) > 1 else 0):
            advance(done)
    with atomic(out / "places.csv") as whole, open(whole, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "place", "time"])
        for job in jobs:
            time = _moments(job.seed, job.number, job.moments)[job.moment][1].time
            rows.writerows([name, camera, f"{time}Z"] for name, camera in _names(job))
    return out / "places.csv"


def _names(job: _Job) -> list[tuple[str, str]]:
    """(file, camera) of each photo of a job."""
    light = _moments(job.seed, job.number, job.moments)[job.moment][0]
    cameras = [f"n{job.number:02d}_c{i:02d}" for i in range(job.cameras)]
    return [(f"{camera}_{job.moment:02d}_{light}.jpg", camera) for camera in cameras]


@lru_cache(maxsize=64)
def _moments(seed: int, number: int, count: int) -> tuple[tuple[str, Moment], ...]:
    by_car = count // BY_CAR
    dated = [("day", moment) for moment in survey_moments(seed, number, by_car)]
    return (*query_moments(seed, number, count - by_car), *dated)


@lru_cache(maxsize=2)
def _windows(
    seed: int, number: int, streets: tuple[int, int], count: int, photo: tuple[int, int]
) -> tuple[Neighbourhood, tuple[Query, ...]]:
    """A neighbourhood, and what each of its cameras looks at."""
    place = Neighbourhood.draw(seed, number, streets)
    moment = _moments(seed, number, 2)[0][1]
    scene, rng = place.scene(moment), np.random.default_rng([seed, number, 77])
    windows: list[Query] = []
    while len(windows) < count:
        shot = draw_query(place, "day", moment, "", photo, rng)
        distance = sees(place, scene, shot)
        if np.median(distance) > DISTANT and (distance < NEAR).mean() < 0.05:
            windows.append(shot)
    return place, tuple(windows)


def _draw(job: _Job) -> int:
    place, windows = _windows(job.seed, job.number, job.streets, job.cameras, job.photo)
    light, moment = _moments(job.seed, job.number, job.moments)[job.moment]
    scene = place.scene(moment)
    for (name, _), window in zip(_names(job), windows, strict=True):
        rng = photo_rng(job.seed, name)
        settings = draw_camera_settings(rng, moment, phone=True, light=light)
        shot = replace(window, name=name, moment=moment, settings=settings)
        save_photo(job.folder / name, take_photo(place, scene, shot, rng), shot)
    return len(windows)
