"""The paper's Time Machine ablation on a town: does it help to see a place again on another date in training?

Queries and database are cut-outs of the training neighbourhoods' panoramas; potential positives are of the query's own
date (all that a set without a time machine has) or of another one. Tested on other neighbourhoods.

    netvlad town build --size city --neighbourhoods 4 1 2 --streets 2 2 --dates 4 2 2 --visits 6 --out out/abl
    python benchmarks/time_machine.py out/abl
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import netvlad
from netvlad.describe.fit import fit
from netvlad.evaluate.result import Protocol
from netvlad.evaluate.run import evaluate
from netvlad.places import dates
from netvlad.search.rankers import MemoryRanker
from netvlad.train.config import Config
from netvlad.train.trainer import train
from netvlad.train.tuples import Mining

LIGHTS = ("day", "sunset", "night")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("town", type=Path)
    parser.add_argument("--pooling", nargs="+", default=["max", "netvlad"])
    parser.add_argument("--rules", nargs="+", default=["same-date", "other-date"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--queries", type=int, default=1500)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--optimizer", default="adamw", help="sgd (the paper's) or adamw")
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()
    database = netvlad.read_places(options.town / "train" / "database" / "places.parquet")
    held = netvlad.read_places(options.town / "val" / "database" / "places.parquet")
    days = len(np.unique(dates(database)))
    print(f"{len(database)} training photos of {days} days; {torch.get_num_threads()} threads")
    for pooling in options.pooling:
        report(model_of(pooling, database), f"resnet18-{pooling} off the shelf", options.town)
        for rule in options.rules:
            for seed in range(options.seeds):
                one(pooling, rule, seed, database, held, options)


def model_of(pooling: str, database):
    model = netvlad.load(f"resnet18-{pooling}", clusters=32)
    if not model.ready:
        fit(model, database.path, seed=0)
    return model


def one(pooling: str, rule: str, seed: int, database, held, options) -> None:
    model = model_of(pooling, database)
    chosen = np.random.default_rng(seed).choice(len(database), min(options.queries, len(database)), replace=False)
    config = Config(
        mining=Mining(positives=rule),
        epochs=options.epochs,
        optimizer=options.optimizer,
        lr=options.lr,
        precision=options.precision,
        other_dates=True,
        seed=seed,
    )
    start = time.perf_counter()
    record = train(model, database, database[np.sort(chosen)], config, (held, held))
    seconds = time.perf_counter() - start
    curve = " ".join(f"{100 * (e.recall or 0):.1f}" for e in record.epochs)
    print(
        f"{pooling}, positives {rule}, seed {seed}: {record.queries} queries ({record.skipped} without a positive), "
        f"{seconds:.0f} s; recall@5 on val {100 * (record.recall or 0):.1f} -> {curve}; best epoch {record.best}",
        flush=True,
    )
    report(model, f"resnet18-{pooling}, {rule}, seed {seed}", options.town)


def report(model, name: str, town: Path) -> None:
    """recall@1/5/10 on the test neighbourhoods: of phone pictures by light, and of the survey's other date."""
    database = netvlad.read_places(town / "test" / "database" / "places.parquet")
    phones = netvlad.read_places(town / "test" / "queries" / "places.parquet")
    light = np.array([Path(path).name.split("_")[2] for path in phones.path])
    asked = netvlad.Places.concat([phones, database])
    date = np.array([name.split("_")[1] for name in database.panorama])
    later = np.concatenate([np.zeros(len(phones), bool), date == np.unique(date)[-1]])
    protocol = Protocol(radius=25.0, ns=(1, 5, 10), other_dates=True)
    found = evaluate({name: MemoryRanker(model, database.path)}, database, asked, protocol)
    groups = {k: np.concatenate([light == k, np.zeros(len(database), bool)]) for k in LIGHTS}
    groups = {"phones": ~later & (np.arange(len(asked)) < len(phones)), **groups, "another date": later}
    cells = []
    for group, rows in groups.items():
        rows = rows & found.judged
        share = [100 * found.methods[0].correct[rows][:, :n].any(axis=1).mean() for n in (1, 5, 10)]
        cells.append(f"{group} ({rows.sum()}) " + " / ".join(f"{s:.1f}" for s in share))
    print(f"{name}: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
