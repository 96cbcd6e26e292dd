"""A map's model in PyTorch and as an ONNX file: milliseconds a photo, and recall on campus west, night in day.

    python benchmarks/bench_onnx.py campus.vpr model.onnx [model_int8.onnx ...] [--photos 20]

campus.vpr: an index of campus west by day (`netvlad index`), whose vectors are described anew by each; model.onnx: what
`netvlad export campus.vpr --to onnx` wrote. Times are medians of photos that are described in turns, one at a time, on
as many threads as OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import netvlad
from common import campus
from netvlad.describe.stream import describe_all
from netvlad.images.read import read_image

RADIUS = 25.0


def recall(model: netvlad.Describer) -> float:
    """Share of night photos of campus west whose most similar day photo lies within 25 m, of those that have one."""
    day, night = (netvlad.read_places(campus() / f"west_{light}.csv") for light in ("day", "night"))
    (database, _), (queries, _) = (describe_all(model, places.path.tolist(), workers=0) for places in (day, night))
    apart = np.hypot(*(getattr(night, axis)[:, None] - getattr(day, axis) for axis in ("easting", "northing")))
    best = (queries @ database.T).argmax(axis=1)
    near = apart <= RADIUS
    return float(near[np.arange(len(best)), best][near.any(axis=1)].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--no-recall", action="store_true")
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
    for name, model in models.items():
        off = np.abs(np.array(vectors[name]) - np.array(vectors["PyTorch"])).max()
        found = "" if args.no_recall else f", R@1 {100 * recall(model):.1f}"
        print(
            f"{name}: {1000 * statistics.median(seconds[name][1:]):.0f} ms a photo, off by {off:.1e}{found}", flush=True
        )


if __name__ == "__main__":
    main()
