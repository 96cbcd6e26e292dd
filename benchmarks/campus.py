"""Off-the-shelf methods on the campus photos, as a Markdown table, judged on east in both directions.

Centres and whitening are fitted on west, or ("map's own centres", what `netvlad index` and `evaluate` do with a model
given by name) the centres on the database photos of each direction.

    python benchmarks/campus.py [--backbones resnet18 ...] [--seeds 3]

Radius 10 m, queries without a true match left out; K-means centres depend on the seed: mean and standard deviation.
"""

from __future__ import annotations

import argparse
import hashlib

import numpy as np
import torch

import netvlad
from common import VectorRanker, campus
from netvlad.describe.backbone import load_backbone
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.stream import describe_all
from netvlad.describe.whitening import fit_whitening
from netvlad.evaluation.run import evaluate

PROTOCOL = netvlad.Protocol(radius=10.0, unmatched="drop")
WHITEN = (512, 128)
DIRECTIONS = (("east_day", "east_night"), ("east_night", "east_day"))  # database, queries


def evaluated(places, vectors, database: str, queries: str):
    """The evaluation of one direction."""
    ranker = VectorRanker(vectors[database], dict(zip(places[queries].path, vectors[queries], strict=True)))
    return evaluate({"": ranker}, places[database], places[queries], PROTOCOL)


def one_direction(places, vectors, database: str, queries: str) -> np.ndarray:
    """recall@1/5/10 in percent."""
    recall = evaluated(places, vectors, database, queries).methods[0].recall
    return np.array([100 * recall[n] for n in (1, 5, 10)])


def both_directions(places, vectors) -> np.ndarray:
    """recall@1/5/10 in percent: night against day, then day against night."""
    return np.concatenate([one_direction(places, vectors, *direction) for direction in DIRECTIONS])


def described(model, places, names=None) -> dict[str, np.ndarray]:
    out = {}
    for name in names or places:
        out[name], unreadable = describe_all(model, places[name].path, what=f"{model.name}: {name}")
        assert not unreadable, unreadable
    return out


class Remembered(torch.nn.Module):
    """A backbone that keeps the map of every photo it has seen: methods on one backbone differ only behind it."""

    def __init__(self, backbone):
        super().__init__()
        self.inner, self.seen = backbone, {}
        self.name, self.stage, self.dim, self.mean, self.std = (
            backbone.name,
            backbone.stage,
            backbone.dim,
            backbone.mean,
            backbone.std,
        )

    def forward(self, x):
        keys = [hashlib.blake2b(image.cpu().numpy().tobytes(), digest_size=16).digest() for image in x]
        new = [i for i, key in enumerate(keys) if key not in self.seen]
        if new:
            self.seen |= {keys[i]: y for i, y in zip(new, self.inner(x[new]), strict=True)}
        return torch.stack([self.seen[key] for key in keys])


def rows_of(backbone, pooling: str, clusters: int, places, seeds: int):
    """(label, dimensions) -> an array of recalls for each seed; a NetVLAD not whitened and whitened."""
    found: dict[tuple, list] = {}
    west = [*places["west_day"].path, *places["west_night"].path]
    for seed in range(seeds if "vlad" in pooling else 1):
        model = NetworkDescriber(backbone, pooling, clusters=clusters)
        netvlad.fit(model, west, seed=seed)
        label = f"{model.name} at {backbone.stage}" + (f", K={clusters}" if "vlad" in pooling else "")
        vectors = described(model, places)
        found.setdefault((label, model.dim), []).append(both_directions(places, vectors))
        for dim in WHITEN if pooling == "netvlad" else ():
            whitening = fit_whitening(np.concatenate([vectors["west_day"], vectors["west_night"]]), dim)
            small = {k: whitening(torch.from_numpy(v)).numpy() for k, v in vectors.items()}
            found.setdefault((f"{label}, whitened", dim), []).append(both_directions(places, small))
    return found


def rows_of_own_centres(backbone, clusters: int, places, seeds: int):
    """As rows_of, of a NetVLAD whose centres are fitted on the database."""
    runs = []
    for seed in range(seeds):
        run = []
        for database, queries in DIRECTIONS:
            model = NetworkDescriber(backbone, "netvlad", clusters=clusters)
            netvlad.fit(model, places[database].path, seed=seed)
            run.append(one_direction(places, described(model, places, [database, queries]), database, queries))
        runs.append(np.concatenate(run))
    return {(f"{backbone.name}-netvlad at {backbone.stage}, K={clusters}, map's own centres", model.dim): runs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "vit_small_patch14_dinov2"])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    folder = campus()
    names = ("west_day", "west_night", "east_day", "east_night")
    places = {name: netvlad.read_places(folder / f"{name}.csv") for name in names}
    print("| method | dim | night queries, day database | day queries, night database | R@1 mean |")
    print("|---|---|---|---|---|")
    for name in arguments.backbones:
        for stage in [None, "layer3+act"] if name.startswith("resnet") else [None]:
            backbone = Remembered(load_backbone(name, stage))
            for pooling, clusters in [("max", 2), *((p, k) for k in (32, 64) for p in ("netvlad", "vlad"))]:
                for (label, dim), runs in rows_of(backbone, pooling, clusters, places, arguments.seeds).items():
                    print(_row(label, dim, np.array(runs)), flush=True)
            for clusters in (32, 64):
                for (label, dim), runs in rows_of_own_centres(backbone, clusters, places, arguments.seeds).items():
                    print(_row(label, dim, np.array(runs)), flush=True)
        print(f"<!-- {name}: {backbone.inner.provenance} -->")


def _row(label: str, dim: int, runs: np.ndarray) -> str:
    mean, spread = runs.mean(axis=0), runs.std(axis=0)
    cell = [f"{m:.1f}" + (f" ± {s:.1f}" if len(runs) > 1 else "") for m, s in zip(mean, spread, strict=True)]
    both = runs[:, [0, 3]].mean(axis=1)
    last = f"{both.mean():.1f}" + (f" ± {both.std():.1f}" if len(runs) > 1 else "")
    return f"| {label} | {dim} | {' / '.join(cell[:3])} | {' / '.join(cell[3:])} | {last} |"


if __name__ == "__main__":
    main()
