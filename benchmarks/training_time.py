"""Recall in validation against wall time, by how negatives are found: one figure and a table.

The east end of the west half of campus is learnt, its west end is validated on, 20 m away, radius 10 m. ResNet-18 from
layer3 on, K = 32, AdamW 3e-5, bfloat16, kept maps: only where negatives come from differs.

    python benchmarks/training_time.py --out out/training_time.png
"""

from __future__ import annotations

import argparse
from itertools import accumulate
from pathlib import Path

import numpy as np

import netvlad
from campus_training import FOLDS, along
from common import campus
from netvlad.places import Places
from netvlad.runtime.files import atomic
from netvlad.training import train
from netvlad.training.settings import make_config

COMMON = {"epochs": 6, "lr": 3e-5, "schedule": "constant", "warm_up": 0, "validation_radius": 10, "refresh": 250}
WAYS = {
    "all negatives": {"negatives": 1000, "hard": 1000, "epochs": 2},
    "mined, 10 of 100": {},
    "mined, partial cache": {"cache": "partial", "refresh": 50, "sample": 100},
    "place classes": {"loss": "multi-similarity", "batch": 16, "lr": 1e-4, "epochs": 10},
}


def one(settings: dict, learn: Places, held: tuple[Places, Places]) -> tuple[list[float], list[float]]:
    """Seconds since the start, and recall@5 in percent, before training and after each epoch."""
    model = netvlad.load("resnet18-netvlad", clusters=32)
    netvlad.fit(model, learn.path, seed=0)
    record = train(model, (learn, learn), make_config("fast", **{**COMMON, **settings}), validation=held).record
    walls = [0.0, *accumulate(epoch.wall for epoch in record.epochs)]
    return walls, [100 * r for r in (record.recall, *(epoch.recall for epoch in record.epochs))]


def draw(curves: dict[str, tuple[list[float], list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, (seconds, recall)), style in zip(curves.items(), ("o-", "s-", "^--", "d-"), strict=True):
        axes.plot(seconds, recall, style, label=name, markersize=4, linewidth=1.6)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("recall@5 in validation (%)")
    axes.grid(color="0.88", linewidth=0.8)
    axes.legend(frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160, facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the figure, a PNG")
    options = parser.parse_args()
    folder = campus()
    day, night = (netvlad.read_places(folder / f"west_{light}.csv") for light in ("day", "night"))
    west = Places.concat([day, night])
    (a, b), (c, d) = FOLDS["east part of west"]
    at = along(west)
    learn, held = west[(at >= a) & (at < b)], (at >= c) & (at < d)
    dark = np.arange(len(west)) >= len(day)
    curves = {}
    print("| negatives | s an epoch | recall@5 before | after each epoch |")
    print("|---|---|---|---|")
    for name, settings in WAYS.items():
        curves[name] = one(settings, learn, (west[held & ~dark], west[held & dark]))
        seconds, recall = curves[name]
        after = " ".join(f"{r:.1f}" for r in recall[1:])
        print(f"| {name} | {seconds[-1] / (len(seconds) - 1):.0f} | {recall[0]:.1f} | {after} |", flush=True)
    draw(curves, options.out)


if __name__ == "__main__":
    main()
