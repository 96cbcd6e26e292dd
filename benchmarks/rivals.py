"""The methods NetVLAD is measured against, on three sets of real photos, as one Markdown table and one figure.

    OMP_NUM_THREADS=1 python benchmarks/rivals.py DATA_FOLDER --out FOLDER [--sets campus tower] [--kinds [sift ...]]

DATA_FOLDER holds `campus` (by day and by night; radius 10 m, queries without a true match left out), `webcams` (fixed
cameras; the photos of six hours of the day, UTC, against those of the other eighteen, four times) and `tower` (25
floors of an office building, its published split; a place is a floor). Centres, trees and whitening are fitted on the
database of each split alone; whitening keeps the largest power of two of numbers that is at most half of its photos
(campus 128, webcams 256, tower 1024), half-whitening, by the fourth root of the variance, the largest that is less than
the number of photos. Descriptions and what was found are kept in FOLDER: a second run does what is not
yet in its rivals.json. Times are processor time of one thread. --kinds: kinds of local features for re-ranking on
campus, not the table.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cache as cache_of
from functools import partial
from pathlib import Path

import numpy as np
import torch

import netvlad
from netvlad.describe.dense_vlad import load_dense_vlad
from netvlad.errors import NetvladError
from netvlad.evaluation.run import evaluate
from rival_methods import Described, Local, Tree, Vectors, distinct, network, reranked, whitened

PROTOCOL = netvlad.Protocol(radius=10.0, unmatched="drop", ns=tuple(range(1, 21)))
RERANKED = 10  # photos of a ranking
KINDS = ("rootsift", "sift", "orb", "akaze")  # of local features, the last by opencv-contrib-python-headless alone
STILL = ("webcams",)  # sets that geometry is not tried on: the cameras never move


def splits(folder: Path) -> dict[str, list[tuple]]:
    """Column of the table -> (database, queries), one or several whose queries count together."""
    found = {}
    if (folder / "campus").is_dir():
        day, night = (netvlad.read_places(folder / "campus" / f"east_{light}.csv") for light in ("day", "night"))
        found |= {"campus: night in day": [(day, night)], "campus: day in night": [(night, day)]}
    if (folder / "tower").is_dir():
        photos = netvlad.read_places(folder / "tower" / "places.csv")
        parts = (np.flatnonzero(photos.split == part) for part in ("database", "query"))
        found["tower"] = [tuple(photos[rows] for rows in parts)]
    if (folder / "webcams").is_dir():
        photos = netvlad.read_places(folder / "webcams" / "places.csv")
        period = photos.time.astype("datetime64[h]").astype(np.int64) % 24 // 6
        parts = [(np.flatnonzero(period != p), np.flatnonzero(period == p)) for p in range(4)]
        found["webcams"] = [(photos[held], photos[asked]) for held, asked in parts]
    return found


def methods(label: str, number: int, database, queries, described: Described, local: Local, cache: Path):
    """(name, make) of each method on one split; make() -> its ranker, which has `cost` in ms and `size` in bytes."""
    of_set, part = label.partition(":")[0], f"{label.replace(': ', '-').replace(' ', '-')}-{number}"
    paths = sorted([*database.path, *queries.path])

    def vectors(key: str, make, by=lambda x, cost: Vectors(_held(x, database), x, cost)):
        def ranker():
            found, cost = described.of(key, make, paths)
            return by(found, cost=cost)

        return ranker

    net = partial(vectors, f"{part}-netvlad", lambda: network("netvlad", database))
    dense = partial(vectors, f"{of_set}-densevlad", load_dense_vlad)
    white, apart = partial(whitened, database=database, queries=queries), partial(distinct, database=database)
    fine, coarse = (cache_of(lambda depth=depth: Tree(local, database, queries, depth)) for depth in (5, 4))
    hamming = cache_of(lambda: coarse().ranker(5, hamming=True))
    yield "resnet18-max", vectors(f"{of_set}-max", lambda: network("max", database))
    yield "resnet18-netvlad", net()
    yield "resnet18-netvlad distinct", net(apart)
    yield "resnet18-netvlad whitened", net(white)
    yield "resnet18-netvlad half-whitened", net(partial(white, root=True))
    yield "densevlad without whitening", dense()
    yield "densevlad whitened", dense(white)
    yield "densevlad half-whitened", dense(partial(white, root=True))
    yield "densevlad distinct", dense(apart)
    for n in (1, 5):
        yield f"vocabtree-n{n}", lambda n=n: fine().ranker(n)
    yield "vocabtree-n5, half of the features", lambda: fine().ranker(5, informative=0.5)
    yield "vocabtree-n5-distinct", lambda: fine().ranker(5, distinct=True)
    yield "vocabtree-n5-hamming", hamming
    yield "vocabtree-n5-hamming-distinct", lambda: coarse().ranker(5, hamming=True, distinct=True)
    if label in STILL:
        return
    for name, make in (("resnet18-netvlad", net()), ("densevlad", dense()), ("vocabtree-n5-hamming", hamming)):
        verified = partial(reranked, database=database, queries=queries, cache=cache, kind="rootsift", best=RERANKED)
        yield f"{name} + rerank {RERANKED}", lambda make=make, verified=verified: verified(make())


def _held(vectors: dict, database) -> np.ndarray:
    return np.stack([vectors[path] for path in database.path])


def judged(ranker, database, queries) -> tuple[np.ndarray, int, float]:
    """recall@1 to @20 times the queries judged, these, and milliseconds a query of ranking alone."""
    start = time.process_time()
    found = evaluate({"": ranker}, database, queries, PROTOCOL)
    took = 1e3 * (time.process_time() - start) / len(queries)
    recall = np.array([found.methods[0].recall[n] for n in PROTOCOL.ns])
    return recall * found.judged.sum(), int(found.judged.sum()), took


def run(given) -> dict[str, dict[str, dict]]:
    """method -> column -> its recall, cost, size and time."""
    done = given.out / "rivals.json"
    table: dict[str, dict[str, dict]] = json.loads(done.read_text()) if done.exists() else {}
    described, cache = Described(given.out / "vectors"), given.out / "features"
    columns, order = splits(given.data), {}
    for label, parts in columns.items():
        if given.sets and label.partition(":")[0] not in given.sets:
            continue
        photos = sorted({path for part in parts for places in part for path in places.path})
        local = Local(photos, cache)
        rows: dict[str, list] = {}
        for number, (database, queries) in enumerate(parts):
            for name, make in methods(label, number, database, queries, described, local, cache):
                order[name] = True
                if label in table.get(name, {}):
                    continue
                ranker = make()
                rows.setdefault(name, []).append((*judged(ranker, database, queries), ranker.cost, ranker.size))
                print(f"<!-- {label} {number} {name}: {rows[name][-1][0][0] / rows[name][-1][1]:.3f} -->", flush=True)
        for name, found in rows.items():
            hits, asked, took, cost, size = zip(*found, strict=True)
            facts = {"recall": list(sum(hits) / sum(asked)), "queries": sum(asked), "ms_query": float(np.mean(took))}
            facts |= {"ms_photo": float(np.mean(cost)), "bytes": float(np.mean(size))}
            table.setdefault(name, {})[label] = facts
        done.write_text(json.dumps(table, indent=1))
    return {name: {label: table[name][label] for label in columns if label in table[name]} for name in order}


def markdown(table: dict) -> str:
    columns = list(dict.fromkeys(label for row in table.values() for label in row))
    asked = {c: next(row[c]["queries"] for row in table.values() if c in row) for c in columns}
    lines = [f"| | {' | '.join(f'{c} ({asked[c]})' for c in columns)} | ms a photo | bytes a photo | ms a query |"]
    lines.append("|---" * (len(columns) + 4) + "|")
    for name, row in table.items():
        cells = ["" if c not in row else " / ".join(f"{100 * row[c]['recall'][n - 1]:.1f}" for n in (1, 5, 10))
                 for c in columns]  # fmt: skip
        costs = [f"{row[next(iter(row))][key]:,.{digits}f}" for key, digits in (("ms_photo", 0), ("bytes", 0))]
        spans = sorted(facts["ms_query"] for facts in row.values())
        span = f"{spans[0]:.1f}" if len(spans) == 1 else f"{spans[0]:.1f} to {spans[-1]:.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {' | '.join(costs)} | {span} |")
    return "\n".join(lines)


DRAWN = {
    "resnet18-max": "0.6",
    "resnet18-netvlad": "tab:red",
    "densevlad without whitening": "tab:blue",
    "densevlad whitened": "tab:cyan",
    "densevlad distinct": "navy",
    "vocabtree-n5": "tab:orange",
    "vocabtree-n5-hamming": "tab:green",
    "resnet18-netvlad + rerank 10": "tab:pink",
}


def draw(table: dict, file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    columns = list(dict.fromkeys(label for row in table.values() for label in row))
    figure, axes = plt.subplots(1, len(columns), figsize=(3.6 * len(columns), 4.2), squeeze=False, layout="constrained")
    for axis, column in zip(axes[0], columns, strict=True):
        for name, colour in DRAWN.items():
            if column in table.get(name, {}):
                recall = table[name][column]["recall"]
                style = {"color": colour, "label": name, "ls": "--" if "rerank" in name else "-"}
                axis.plot(range(1, len(recall) + 1), 100 * np.array(recall), **style)
        axis.set(title=column, xlabel="N", xticks=[1, 5, 10, 15, 20])
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("recall@N, %")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(columns), frameon=False)
    figure.savefig(file, dpi=80)


def kinds(given) -> None:
    """Kinds of local features, and NetVLAD re-ranked by each."""
    print("| features | night in day | day in night | ms a photo | ms a query |\n|---|---|---|---|---|")
    described, cache = Described(given.out / "vectors"), given.out / "features"
    for kind in given.kinds or KINDS:
        cells, costs, times = [], [], []
        for label, [(database, queries)] in list(splits(given.data).items())[:2]:
            key = f"{label.replace(': ', '-').replace(' ', '-')}-0-netvlad"
            paths = sorted([*database.path, *queries.path])
            vectors, _ = described.of(key, lambda database=database: network("netvlad", database), paths)
            try:
                plain = Vectors(_held(vectors, database), vectors, 0)
                ranker = reranked(plain, database, queries, cache, kind, RERANKED)
            except NetvladError as e:
                print(f"| {kind} | {e} |")
                break
            hits, asked, took = judged(ranker, database, queries)
            cells.append(" / ".join(f"{100 * hits[n - 1] / asked:.1f}" for n in (1, 5, 10)))
            costs.append(ranker.cost)
            times.append(took)
        else:
            print(f"| {kind} | {' | '.join(cells)} | {np.mean(costs):.0f} | {np.mean(times):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--kinds", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("NETVLAD_WEIGHTS", str(given.data.parent / "weights"))
    given.out.mkdir(parents=True, exist_ok=True)
    if given.kinds is not None:
        return kinds(given)
    table = run(given)
    draw(table, given.out / "rivals.png")
    print(markdown(table))


if __name__ == "__main__":
    main()
