"""Making a map of a million photos agree with its folder: nothing new, places corrected, photos gone and moved."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bench_million
from bench_million import Made
from common import peak_mib

PLACES, DIM, BATCH, FEW = 1_000_000, 32, 100_000, 1000
LINKS = 50_000  # names of one file, which file systems bound


def link(folder: Path) -> list[str]:
    """Make the names of a million small files, which nobody reads."""
    paths = []
    for i in range(PLACES):
        path = f"{folder}/{i // 1000:04d}/{i:07d}.jpg"
        if i % 1000 == 0:
            os.mkdir(os.path.dirname(path))
        if i % LINKS == 0:
            first = path
            Path(first).write_bytes(b"x" * (100 + i // LINKS))
        else:
            os.link(first, path)
        paths.append(path)
    return paths


def places(photos: Path) -> Any:
    from netvlad.places import Places

    rng = np.random.default_rng(0)
    path = [f"{photos}/{i // 1000:04d}/{i:07d}.jpg" for i in range(PLACES)]
    return Places.build(path=path, lat=rng.uniform(48, 48.3, PLACES), lon=rng.uniform(2.2, 2.5, PLACES))


def build(folder: Path) -> None:
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.roots import Root
    from netvlad.maps.stamps import FileStamp

    (folder / "photos").mkdir()
    link(folder / "photos")
    everything = places(folder / "photos")
    index = PlaceIndex.create(folder / "map.vpr", Made(), root=folder / "photos")
    index.sync(everything[:0])  # records the root
    index.store.root = Root(str(folder / "photos"))
    rng = np.random.default_rng(1)
    for first in range(0, PLACES, BATCH):
        part = everything[first : first + BATCH]
        digests = [i.to_bytes(16, "big") for i in range(first, first + BATCH)]
        vectors = rng.standard_normal((BATCH, DIM), dtype=np.float32)
        index.store.append(part, [FileStamp.of(path) for path in part.path], digests, vectors)
    PlaceIndex.open(folder / "map.vpr", Made()).remove([])  # writes the search file and the calibration


def timed(what: str, act: Callable[[], Any]) -> Any:
    start, cpu = time.perf_counter(), time.process_time()
    found = act()
    print(
        f"{what:34} {time.perf_counter() - start:6.1f} s, of the processor {time.process_time() - cpu:6.1f} s",
        flush=True,
    )
    return found


def measure(folder: Path) -> None:
    from netvlad.maps.index import PlaceIndex

    everything = places(folder / "photos")
    begin = peak_mib() / 1024
    index = PlaceIndex.open(folder / "map.vpr", Made())
    assert not timed("nothing new", lambda: index.sync(everything))
    print(f"peak memory {peak_mib() / 1024:.2f} GiB, of which the list of places {begin:.2f} GiB")
    lat = everything.lat.copy()
    lat[:FEW] += 0.01
    corrected = type(everything).build(path=everything.path, lat=lat, lon=everything.lon)
    found = timed(f"{FEW} positions corrected", lambda: index.sync(corrected))
    assert len(found.repositioned) == FEW
    found = timed(f"{FEW} photos gone", lambda: index.sync(corrected[FEW:]))
    assert len(found.vanished) == FEW
    assert not timed("nothing new", lambda: index.sync(corrected[FEW:]))


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        timed("made", lambda: build(Path(temporary)))
        subprocess.run([sys.executable, __file__, temporary], check=True)


if __name__ == "__main__":
    bench_million.DIM = Made.dim = DIM
    measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
