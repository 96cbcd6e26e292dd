"""Training on the west half of the campus photos against off the shelf, judged on the east half in both directions.

The preset day-night, as it is: 667 photos with positions, half by day and half by night, and the photos of 12 fixed
webcams. Each seed fits the cluster centres on west and judges the model as it is (also whitened, by PCA on west); then
with its local descriptors adjusted by the webcams, trained on west, and each with its vectors normalised by them
("cameras", netvlad.describe.fixed_cameras). Intervals are of the difference in recall@1, from 10,000
draws of the queries of both directions, each query with its mean over the seeds.

    python benchmarks/campus_training.py [--pooling netvlad max] [--backbone resnet18] [--seeds 3] [--out out/campus]
    python benchmarks/campus_training.py --validate     # on parts of west, by which the preset was chosen
    python benchmarks/campus_training.py --backbone vit_small_patch14_dinov2 --start blocks.10 --seeds 1

Radius 10 m, queries without a true match left out. --out keeps the runs, with their curves.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import netvlad
from campus import DIRECTIONS, WHITEN, described, evaluated
from common import SHARED, campus
from netvlad.describe.fixed_cameras import fit_cameras, fit_local
from netvlad.describe.whitening import fit_whitening
from netvlad.places import Places
from netvlad.training import train
from netvlad.training.settings import make_config

NS = (1, 5, 10)
WEBCAMS = SHARED / "data" / "webcams" / "places.csv"
# metres from the west end: to train on, to validate on
FOLDS = {"east part of west": ((65, 200), (0, 45)), "west part of west": ((0, 65), (85, 200))}


def judged(places: dict[str, Places], vectors: dict[str, np.ndarray], directions=DIRECTIONS) -> list[np.ndarray]:
    """Of each direction: whether one of the 1, 5, 10 best of each judged query is right, bool (Q, 3)."""
    out = []
    for database, queries in directions:
        found = evaluated(places, vectors, database, queries)
        correct = found.methods[0].correct[found.judged]
        out.append(np.stack([correct[:, :n].any(axis=1) for n in NS], axis=1))
    return out


def fresh(options, west: Places, seed: int, cameras: bool):
    """With its centres; cameras: its local descriptors are adjusted before."""
    model = netvlad.load(f"{options.backbone}-{options.pooling_now}", clusters=options.clusters, stage=options.stage)
    if not model.ready:
        if cameras:
            cameras = netvlad.read_places(options.cameras)
            fit_local(model, cameras.path, cameras.place, seed=seed)
        netvlad.fit(model, west.path, seed=seed)
    return model


def trained(model, west: Places, seed: int, options, validation=None, run: Path | None = None):
    values = {"start": options.start} if options.start else {}
    values |= dict(setting.split("=", 1) for setting in options.set)
    config = make_config(options.preset, cameras=str(options.cameras), seed=seed, **values)
    start = time.perf_counter()
    record = train(model, (west, west), config, validation=validation, out=run).record
    seconds = time.perf_counter() - start
    losses = " ".join(f"{epoch.loss:.2f}" for epoch in record.epochs)
    print(f"seed {seed}: {record.queries} queries, {seconds:.0f} s, loss {losses}", flush=True)


def by_cameras(model, options, seed: int, places: dict[str, Places]) -> dict[str, np.ndarray]:
    """Vectors with what changes at fixed cameras turned down."""
    cameras = netvlad.read_places(options.cameras)
    fit_cameras(model, cameras.path, cameras.place, seed=seed)
    vectors = described(model, places)
    model.whitening = None
    return vectors


def east(options, places: dict[str, Places], pooling: str) -> None:
    options.pooling_now = pooling
    west = Places.concat([places["west_day"], places["west_night"]])
    found: dict[str, list] = {}
    for seed in range(options.seeds):
        model = fresh(options, west, seed, False)
        vectors = described(model, places)
        found.setdefault("off the shelf", []).append(judged(places, vectors))
        if pooling == "netvlad":
            whitening = fit_whitening(np.concatenate([vectors["west_day"], vectors["west_night"]]), WHITEN[0])
            small = {k: whitening(torch.from_numpy(v)).numpy() for k, v in vectors.items()}
            found.setdefault("off the shelf, whitened", []).append(judged(places, small))
        run = options.out / f"{options.backbone}-{pooling}-{seed}" if options.out else None
        model = fresh(options, west, seed, True)
        halves = {name: places[name] for name in ("east_day", "east_night")}
        for name in ("off the shelf", "trained"):
            if name == "trained":
                trained(model, west, seed, options, run=run)
                found.setdefault(name, []).append(judged(places, described(model, halves)))
            found.setdefault(f"{name}, cameras", []).append(judged(places, by_cameras(model, options, seed, halves)))
    for name, runs in found.items():
        print(_row(f"{options.backbone}-{pooling} {name}", model.dim if "whit" not in name else WHITEN[0], runs))
    for after in list(found)[1:]:
        print(f"{pooling}: {after} against off the shelf: {_gain(found[after], found['off the shelf'])}", flush=True)


def _row(name: str, dim: int, runs: list) -> str:
    """runs: seeds x directions x (Q, 3)."""
    shares = np.array([[100 * direction.mean(axis=0) for direction in run] for run in runs])
    mean, spread = shares.mean(axis=0), shares.std(axis=0)
    cells = [
        " / ".join(f"{m:.1f}" + (f" ± {s:.1f}" if len(runs) > 1 else "") for m, s in zip(*pair, strict=True))
        for pair in zip(mean, spread, strict=True)
    ]
    both = shares[:, :, 0].mean(axis=1)
    last = f"{both.mean():.1f}" + (f" ± {both.std():.1f}" if len(runs) > 1 else "")
    return f"| {name} | {dim} | {cells[0]} | {cells[1]} | {last} |"


def _gain(after: list, before: list) -> str:
    """The gain in recall@1, mean of the directions, with its 95 % interval."""
    sides = [
        np.mean([a[side][:, 0].astype(float) - b[side][:, 0] for a, b in zip(after, before, strict=True)], axis=0)
        for side in range(len(after[0]))
    ]
    rng = np.random.default_rng(0)
    draws = [side[rng.integers(0, len(side), (10_000, len(side)))].mean(axis=1) for side in sides]
    low, high = 100 * np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return f"recall@1 {100 * np.mean([side.mean() for side in sides]):+.1f} points, 95 % from {low:+.1f} to {high:+.1f}"


def along(places: Places) -> np.ndarray:
    """Metres (N,) from the west end, along the longest extent."""
    at = np.stack([places.easting, places.northing], axis=1)
    at -= at.mean(axis=0)
    axis = np.linalg.svd(at, full_matrices=False)[2][0]
    along = at @ axis * np.sign(axis[0])
    return along - along.min()


def validate(options, places: dict[str, Places], pooling: str) -> None:
    """Train on one end of west, judge on the other, 20 m away; and the other way round."""
    options.pooling_now = pooling
    west = Places.concat([places["west_day"], places["west_night"]])
    dark = np.arange(len(west)) >= len(places["west_day"])
    at = along(west)
    found: dict[str, list] = {}
    for fold, ((a, b), (c, d)) in FOLDS.items():
        learn, held = west[(at >= a) & (at < b)], (at >= c) & (at < d)
        tables = {"day": west[held & ~dark], "night": west[held & dark]}
        directions = (("day", "night"), ("night", "day"))
        plain = described(fresh(options, learn, options.seed, False), tables)
        found.setdefault("off the shelf", []).extend(judged(tables, plain, directions))
        model = fresh(options, learn, options.seed, True)
        for name in ("off the shelf", "trained"):
            if name == "trained":
                trained(model, learn, options.seed, options)
                found.setdefault(name, []).extend(judged(tables, described(model, tables), directions))
            turned = by_cameras(model, options, options.seed, tables)
            found.setdefault(f"{name}, cameras", []).extend(judged(tables, turned, directions))
        for name, runs in found.items():
            print(_row(f"{pooling}, trained on the {fold}, {name}", model.dim, [runs[-2:]]), flush=True)
    for name, runs in list(found.items())[1:]:
        print(f"{pooling}, {name} against off the shelf, both: {_gain([runs], [found['off the shelf']])}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pooling", nargs="+", default=["netvlad", "max"])
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--stage")
    parser.add_argument("--start", help="where in the backbone training starts")
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of --validate")
    parser.add_argument("--preset", default="day-night")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings in place of the preset's")
    parser.add_argument("--cameras", default=WEBCAMS, help="a table of fixed cameras")
    parser.add_argument("--out", type=Path, help="a new folder for the runs")
    parser.add_argument("--validate", action="store_true")
    options = parser.parse_args()
    folder = campus()
    names = ("west_day", "west_night", "east_day", "east_night")
    places = {name: netvlad.read_places(folder / f"{name}.csv") for name in names}
    print("| method | dim | night queries, day database | day queries, night database | R@1 mean |")
    print("|---|---|---|---|---|")
    for pooling in options.pooling:
        (validate if options.validate else east)(options, places, pooling)


if __name__ == "__main__":
    main()
