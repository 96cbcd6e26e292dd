"""A map's model in PyTorch and as ONNX files: milliseconds a photo, and recall on campus and in the tower.

    python benchmarks/bench_onnx.py campus.vpr model.onnx [model_int8.onnx ...] [--photos 20] [--sets west,east,tower]

campus.vpr: an index of campus west by day (`netvlad index`), whose vectors are described anew by each; model.onnx: what
`netvlad export campus.vpr --to onnx` wrote. Recall is that of the files; PyTorch has that of the float32 one. With no
set there is none. Times are medians of photos that are described in turns, one at a time, on as many threads as
OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import netvlad
from common import SHARED, campus
from netvlad.describe.stream import describe_all
from netvlad.images.read import read_image

RADIUS = 25.0


def photos_and_truth(name: str) -> tuple[list[str], list[str], np.ndarray]:
    """Photos of a set's database and of its queries, and (queries, database) which show the same place.

    On campus that is 25 m, night in day; in the tower the same area of the same floor on other walks, every third and
    every fourth photo.
    """
    if name == "tower":
        tower = netvlad.read_places(SHARED / "data" / "tower" / "places.csv")
        database, queries = (tower[np.flatnonzero(tower.split == s)[::n]] for s, n in (("database", 3), ("query", 4)))
        return database.path.tolist(), queries.path.tolist(), queries.place[:, None] == database.place
    day, night = (netvlad.read_places(campus() / f"{name}_{light}.csv") for light in ("day", "night"))
    apart = np.hypot(*(getattr(night, axis)[:, None] - getattr(day, axis) for axis in ("easting", "northing")))
    return day.path.tolist(), night.path.tolist(), apart <= RADIUS


def recall(model: netvlad.Describer, name: str) -> tuple[float, int]:
    """Share of a set's queries whose most similar photo shows their place, of those that have one; number of these."""
    database, queries, near = photos_and_truth(name)
    (known, _), (asked, _) = (describe_all(model, paths, workers=0) for paths in (database, queries))
    best = (asked @ known.T).argmax(axis=1)
    judged = near.any(axis=1)
    return float(near[np.arange(len(best)), best][judged].mean()), int(judged.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--sets", type=lambda text: text.split(",") if text else [], default=["west"])
    args = parser.parse_args()
    models = {"PyTorch": netvlad.PlaceIndex.open(args.index).model}
    models |= {name: netvlad.load(name) for name in args.networks}
    paths = netvlad.read_places(campus() / "west_day.csv").path[: args.photos]
    photos = [read_image(path, resize=640) for path in paths]
    seconds: dict[str, list[float]] = {name: [] for name in models}
    vectors: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for photo in [photos[0], *photos]:
        for name, model in models.items():
            start = time.perf_counter()
            vectors[name].append(model.describe([photo])[0])
            seconds[name].append(time.perf_counter() - start)
    for name in models:
        off = np.abs(np.array(vectors[name]) - np.array(vectors["PyTorch"])).max()
        print(f"{name}: {1000 * statistics.median(seconds[name][1:]):.0f} ms a photo, off by {off:.1e}", flush=True)
    for set_name in args.sets:
        for name in args.networks:
            share, judged = recall(models[name], set_name)
            print(f"{set_name}, {name}: R@1 {100 * share:.1f} of {judged}", flush=True)


if __name__ == "__main__":
    main()
