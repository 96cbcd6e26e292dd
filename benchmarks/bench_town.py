"""Rays per second, seconds per panorama and per photo, and how a town's building time grows with cores and size."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from netvlad.panoramas.camera import panorama_rays
from netvlad.town.build import build_town
from netvlad.town.capture_plan import SIZES, surveys
from netvlad.town.world import Neighbourhood


def rays() -> None:
    size = SIZES["small"]
    start = time.perf_counter()
    place = Neighbourhood.draw(7, 0, size.streets)
    print(f"a neighbourhood of {len(place.plan.lots)} houses drawn in {time.perf_counter() - start:.2f} s")
    for moment, shots in surveys(7, 0, size, "train"):
        start = time.perf_counter()
        scene = place.scene(moment)
        seconds = time.perf_counter() - start
        print(f"  {moment.weather}: {len(scene.corners)} triangles, set up in {seconds:.2f} s")
        for width in (512, 1024, 2048):
            one(scene, place.to_world(np.array(shots[0].position)), shots[0].heading, width)


def one(scene, origin: np.ndarray, heading: float, width: int) -> None:
    directions = panorama_rays(width, heading)
    flat = np.ascontiguousarray(directions.reshape(-1, 3), np.float32)
    origins = np.ascontiguousarray(np.broadcast_to(np.float32(origin), flat.shape))
    traced = best(lambda: scene.intersect(origins, flat))
    looked = best(lambda: scene.radiance(origin, flat, 2 * np.pi / width))
    drawn = best(lambda: scene.render(origin, directions, 2 * np.pi / width))
    print(
        f"    {width}x{width // 2}: {len(flat) / traced / 1e6:.1f} M rays/s traced, {len(flat) / looked / 1e6:.2f} M/s "
        f"with light and shadow, {drawn:.2f} s a panorama with smooth edges"
    )


def growth() -> None:
    """Whole builds, one after the other."""
    base = replace(SIZES["small"], width=512, queries=6, dates=(1, 1, 1))
    print("whole builds at 512x256, one date, tables and cut-outs included:")
    for workers in sorted({1, 2, os.cpu_count() or 1}):
        for streets in ((1, 1), (2, 2)):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                out = build_town(Path(folder) / "town", 7, replace(base, streets=streets), workers=workers)
                seconds = time.perf_counter() - start
                panoramas = len(list(out.glob("*/panoramas/*.jpg")))
                queries = len(list(out.glob("*/queries/photos/*.jpg")))
            print(
                f"  {workers} workers, {streets[0]}x{streets[1]} streets: {panoramas} panoramas and {queries} queries "
                f"in {seconds:.1f} s, {1000 * seconds / (panoramas + queries):.0f} ms a photo"
            )


def best(function, times: int = 3) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    rays()
    growth()
