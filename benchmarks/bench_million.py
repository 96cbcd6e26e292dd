"""Opening an index of a million places (256-D) and answering one query, in a fresh process: seconds and memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common import peak_mib

PLACES, DIM, BATCH = 1_000_000, 256, 50_000


class Made:
    """A describer in name only: the benchmark brings its own vectors."""

    name, dim, ready, identity = "made-up", DIM, True, "made-up"
    resize, smallest, takes_masks, method, architecture = None, 1, False, None, {}

    def describe(self, images):
        raise NotImplementedError

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def vectors(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def build(folder: Path) -> None:
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.stamps import FileStamp
    from netvlad.places import Places

    index = PlaceIndex.create(folder, Made())
    rng = np.random.default_rng(0)
    for first in range(0, PLACES, BATCH):
        path = [f"/photos/{i // 1000:04d}/{i:07d}.jpg" for i in range(first, first + BATCH)]
        places = Places.build(path=path, lat=rng.uniform(48, 48.3, BATCH), lon=rng.uniform(2.2, 2.5, BATCH))
        digests = [i.to_bytes(16, "big") for i in range(first, first + BATCH)]
        index.store.append(places, [FileStamp(0, 0)] * BATCH, digests, vectors(BATCH, first))
    index = PlaceIndex.open(folder, Made())
    index.rank([], 1), index.calibration  # writes the search file and the calibration


def ask(folder: Path) -> None:
    start = time.perf_counter()
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.where import ALL

    index = PlaceIndex.open(folder)
    answer = index._snapshot.located([""], vectors(1, 0), 5, ALL)[0]
    opened = time.perf_counter() - start
    start = time.perf_counter()
    for seed in range(20):
        index._snapshot.located([""], vectors(1, seed), 5, ALL)
    each = (time.perf_counter() - start) / 20
    memory = peak_mib() / 1024
    print(f"nearest at distance {answer.matches[0].distance:.3f} of {len(index)} places, {DIM}-D")
    print(f"open and answer once   {opened:6.2f} s")
    print(f"each further answer    {each:6.3f} s")
    print(f"peak memory            {memory:6.2f} GiB")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "million.vpr"
        start = time.perf_counter()
        build(folder)
        print(f"build (write, search file, calibration)   {time.perf_counter() - start:6.1f} s")
        subprocess.run([sys.executable, __file__, str(folder)], check=True)


if __name__ == "__main__":
    ask(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
