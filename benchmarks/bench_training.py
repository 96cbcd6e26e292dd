"""Seconds a tuple takes in training, against a straightforward implementation, and of what these seconds are.

Tuples of the campus photos (192x256), ResNet-18 trained from layer3 on, K = 64: a query, its best potential positive
and its 10 hardest definite negatives. Straightforward: each photo is decoded and goes through the whole backbone on its
own, NetVLAD loops over its centres, and each triplet is a term of the loss of its own; in float32. All learn from the
same tuples, chosen before; gradients are compared.

    python benchmarks/bench_training.py [--tuples 24]
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
import torch

import netvlad
from bench_layer import loop_over_centres
from common import campus
from netvlad.describe.network import evaluating
from netvlad.images.read import read_image
from netvlad.places import Places
from netvlad.training import train
from netvlad.training.config import Config, Mining
from netvlad.training.losses import ranking_loss
from netvlad.training.network import TrainableNetwork
from netvlad.training.optimizer import only_trainable
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.tuple_objective import TupleObjective

SAMPLE = {"sample": 300, "apart": None}
SETTINGS = {
    "straightforward": {"freeze": False},
    "in one batch, two matrix products": {"freeze": False},
    "and from kept maps": {},
    "and in bfloat16": {"precision": "bfloat16"},
}


def straightforward(network: TrainableNetwork, rows: list[int], margin: float) -> None:
    model, vectors = network.model, []
    for row in rows:
        x = model.prepare(read_image(network.paths[row])[None])
        vectors.append(loop_over_centres(model.pooling, model.backbone(x))[0])
    query, positive, *negatives = vectors
    loss = 0.0
    for negative in negatives:
        loss = loss + ((query - positive).square().sum() + margin - (query - negative).square().sum()).clamp_min(0)
    loss.backward()


def ours(network: TrainableNetwork, rows: list[int], margin: float) -> None:
    vectors = network.vectors(network.training_batches(rows, 1, 0), len(rows))
    ranking_loss(vectors[0], vectors[1:2], vectors[2:], margin)[0].backward()


def gradient(network: TrainableNetwork, function, *arguments) -> torch.Tensor:
    for parameter in network.parameters:
        parameter.grad = None
    function(network, *arguments)
    return torch.cat([p.grad.flatten() for p in network.parameters if p.grad is not None])


def compare(model, places: Places, count: int) -> None:
    """Each way takes its turn at each tuple, so that a busy moment of the machine meets all alike."""
    ways, tuples, expected = {}, [], None
    for name, settings in SETTINGS.items():
        config = Config(mining=Mining(**SAMPLE), **settings)
        rows = PhotoRows()
        network = TrainableNetwork(model, config, rows.paths, None)
        objective = TupleObjective(network, places, places, rows)
        network.open()
        tuples = tuples or mined(objective, count)
        ways[name] = partial(gradient, network, ours if ways else straightforward)
    times: dict[str, list[float]] = {name: [] for name in ways}
    with evaluating(model), only_trainable(model, network.parameters):
        for photos in tuples:
            for name, way in ways.items():
                start = time.perf_counter()
                found = way(photos, config.margin)
                times[name].append(time.perf_counter() - start)
                expected = found if name == "straightforward" else expected
                agree = torch.nn.functional.cosine_similarity(found, expected, dim=0)
                assert agree > 0.98, f"{name}: the gradient is another one (cosine {agree:.3f})"
    for name, taken in times.items():
        median, ratio = np.median(taken), np.median(times["straightforward"]) / np.median(taken)
        print(f"{name:36}{1000 * median:8.0f} ms a tuple{ratio:7.1f} times", flush=True)


def mined(objective: TupleObjective, count: int) -> list[list[int]]:
    """Rows of the photos of `count` tuples of 12 photos."""
    objective.refresh(1, objective.order(1), len(objective), 0)
    out = []
    for query in objective.order(1).tolist():
        row = int(objective.row_of[query])
        found = objective.tuples.mine(
            query, 1, lambda ids, row=row: objective.cache.squared_distances(row, objective.database_rows[ids])
        )
        if found and len(found.negatives) == 10:
            out.append([row, *objective.database_rows[[found.positive, *found.negatives]].tolist()])
        if len(out) == count:
            break
    return out


def parts(model, places: Places) -> None:
    """Of what the seconds of an epoch are."""
    for precision in ("float32", "bfloat16"):
        settings = {"epochs": 1, "lr": 1e-6, "optimizer": "adamw", "refresh": 500, "precision": precision}
        start = time.perf_counter()
        record = train(model, (places, places), Config(mining=Mining(**SAMPLE), **settings)).record
        whole, epoch = time.perf_counter() - start, record.epochs[0]
        shares = ", ".join(f"{name} {seconds:.1f}" for name, seconds in epoch.seconds.items())
        each = 1000 * epoch.wall / max(1, epoch.tuples)
        print(f"an epoch of {record.queries} queries in {precision}: {epoch.wall:.1f} s, {each:.0f} ms a tuple in all")
        print(f"    {shares}; the kept maps before it {whole - epoch.wall:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tuples", type=int, default=24)
    options = parser.parse_args()
    folder = campus()
    places = Places.concat([netvlad.read_places(folder / f"west_{light}.csv") for light in ("day", "night")])
    model = netvlad.load("resnet18-netvlad", clusters=64)
    netvlad.fit(model, places.path, seed=0)
    print(f"{len(places)} photos, {torch.get_num_threads()} threads")
    compare(model, places, options.tuples)
    parts(model, places)


if __name__ == "__main__":
    main()
