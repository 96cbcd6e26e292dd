"""Training on a town, judged on other neighbourhoods of it: the paper's Time Machine ablation, and a recipe.

Ablation: does it help to see a place again on another date? Queries are cut-outs of the training neighbourhoods'
panoramas; their potential positives are of the query's own date (all that a set without a time machine has) or of
another one. Recipe: the preset, with phone pictures of the training neighbourhoods as queries. The best epoch is that
of recall@5 on the validation neighbourhood; nothing is chosen on the test neighbourhoods. The gain in recall@1 on phone
pictures, of each row on off the shelf, has its interval from 10,000 draws of the queries, each with its mean over the
seeds (of the cluster centres and all draws).

    netvlad town build --size city --neighbourhoods 4 1 2 --streets 2 2 --dates 4 2 2 --visits 12 --queries 30 --spacing 10 --out out/abl
    python benchmarks/time_machine.py out/abl
"""  # noqa: E501

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from pathlib import Path

import numpy as np

import netvlad
from common import VectorRanker
from netvlad.benchmarks.protocol import Protocol
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.stream import describe_all
from netvlad.evaluation.run import evaluate
from netvlad.places import Places, dates
from netvlad.training import network, train
from netvlad.training.frozen_maps import FrozenMaps, FrozenPhoto
from netvlad.training.settings import make_config

LIGHTS = ("day", "sunset", "night")
NS = (1, 5, 10)
SPLITS = ("train", "val", "test")
ROWS = ("recipe", "same-date", "other-date")
ABLATION = {"epochs": 3, "optimizer": "adamw", "lr": 1e-4, "precision": "bfloat16"}  # else the paper's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("town", type=Path)
    parser.add_argument("--pooling", nargs="+", default=["netvlad", "max"])
    parser.add_argument("--rows", nargs="*", default=ROWS, choices=ROWS, help="besides off the shelf")
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--preset", default="street", help="of the recipe")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="in place of the preset's")
    parser.add_argument("--ablation", nargs="*", default=[], metavar="KEY=VALUE", help="its settings")
    parser.add_argument("--queries", type=int, default=600, help="cut-outs drawn as queries of the ablation")
    options = parser.parse_args()
    keep_once()
    tables = {split: (read(options.town, split, "database"), read(options.town, split, "queries")) for split in SPLITS}
    days = len(np.unique(dates(tables["train"][0])))
    print(", ".join(f"{split} {len(d)} cut-outs, {len(q)} phones" for split, (d, q) in tables.items()), f"{days} days")
    for pooling in options.pooling:
        found: dict[str, list[np.ndarray]] = {}
        for seed in options.seeds:
            start = fresh(pooling, tables["train"][0], options.clusters, seed)
            for row in (None, *options.rows):
                name, model = f"resnet18-{pooling} {row or 'off the shelf'}", deepcopy(start)
                if row:
                    learn(model, row, tables, seed, options)
                found.setdefault(name, []).append(judge(model, f"{name}, seed {seed}", *tables["test"]))
        before, *others = found
        for name in others:
            print(f"{name} against off the shelf: {gain(found[name], found[before])}", flush=True)


def read(town: Path, split: str, what: str) -> Places:
    """Of phone pictures those from where the camera car was."""
    places = netvlad.read_places(town / split / what / "places.parquet")
    return places[~np.array([path.endswith("_absent.jpg") for path in places.path])]


def fresh(pooling: str, database: Places, clusters: int, seed: int) -> NetworkDescriber:
    model = netvlad.load(f"resnet18-{pooling}", clusters=clusters)
    return model if model.ready else netvlad.fit(model, database.path, seed=seed)


def learn(model: NetworkDescriber, row: str, tables: dict, seed: int, options) -> None:
    database, phones = tables["train"]
    if row == "recipe":
        queries, validation = phones, tables["val"]
        config = make_config(options.preset, seed=seed, **values(options.set))
    else:
        chosen = np.random.default_rng(seed).choice(len(database), min(options.queries, len(database)), replace=False)
        queries, validation = database[np.sort(chosen)], (tables["val"][0], tables["val"][0])
        config = make_config(positives=row, other_dates=True, seed=seed, **{**ABLATION, **values(options.ablation)})
    start = time.perf_counter()
    record = train(model, (database, queries), config, validation=validation).record
    print(
        f"{model.name} {row}, seed {seed}: {record.queries} queries ({record.skipped} without a positive), "
        f"{time.perf_counter() - start:.0f} s; recall@5 on val {100 * (record.recall or 0):.1f} -> "
        f"{' '.join(f'{100 * (e.recall or 0):.1f}' for e in record.epochs)}; best epoch {record.best}",
        flush=True,
    )


def values(settings: list[str]) -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in settings)


def judge(model: NetworkDescriber, name: str, database: Places, phones: Places) -> np.ndarray:
    """Prints recall@1/5/10 of the test neighbourhoods, of phone pictures by light and of the survey's other date.
    Which of the phone pictures are found at first (Q,) bool."""
    found = [describe_all(model, places.path, what=f"{model.name}: test")[0] for places in (database, phones)]
    date = np.array([panorama.split("_")[1] for panorama in database.panorama])
    later = date == np.unique(date)[-1]
    light = np.array([Path(path).name.split("_")[2] for path in phones.path])
    asked = Places.concat([phones, database[later]])
    vectors = np.concatenate([found[1], found[0][later]])
    ranker = VectorRanker(found[0], dict(zip(asked.path, vectors, strict=True)))
    result = evaluate({"": ranker}, database, asked, Protocol(radius=25.0, ns=NS, other_dates=True))
    phone = np.arange(len(asked)) < len(phones)
    light = np.concatenate([light, np.full(later.sum(), "")])
    groups = {"phones": phone} | {k: light == k for k in LIGHTS}
    cells, correct = [], result.methods[0].correct
    for group, rows in {**groups, "another date": ~phone}.items():
        rows = rows & result.judged
        if not rows.any():
            continue
        shares = " / ".join(f"{100 * correct[rows][:, :n].any(axis=1).mean():.1f}" for n in NS)
        cells.append(f"{group} ({rows.sum()}) {shares}")
    print(f"{name}: {'; '.join(cells)}", flush=True)
    return correct[phone & result.judged][:, 0]


def gain(after: list[np.ndarray], before: list[np.ndarray]) -> str:
    """The gain in recall@1 on phone pictures and its 95 % interval, of a paired bootstrap over queries (Q,)."""
    of_each = np.mean([a.astype(float) - b for a, b in zip(after, before, strict=True)], axis=0)
    draws = of_each[np.random.default_rng(0).integers(0, len(of_each), (10_000, len(of_each)))].mean(axis=1)
    low, high = 100 * np.percentile(draws, [2.5, 97.5])
    return f"recall@1 {100 * of_each.mean():+.1f} points, 95 % from {low:+.1f} to {high:+.1f}"


def keep_once() -> None:
    """Run each photo through the frozen layers once for all runs, which differ in the layers above these."""
    kept: dict[tuple[str, str], FrozenPhoto] = {}
    compute = network.compute_frozen_maps

    def compute_once(model, split, paths, *, storage, memory, folder, workers):
        room = {"storage": storage, "memory": np.inf, "folder": None, "workers": workers}
        new = [path for path in dict.fromkeys(paths) if (split.start, path) not in kept]
        if new:
            made = compute(model, split, new, **room)
            kept.update({(split.start, new[row]): photo for row, photo in made.photos.items()})
        frozen = FrozenMaps(model, split, storage, np.inf, None)
        frozen.photos = {row: kept[split.start, path] for row, path in enumerate(paths)}
        return frozen

    network.compute_frozen_maps = compute_once


if __name__ == "__main__":
    main()
