"""Geometric re-ranking of the best photos of a ranking, by kind of local features, as one Markdown table for each set.

    OMP_NUM_THREADS=1 python benchmarks/reranking.py DATA_FOLDER --out FOLDER [--sets west east tower webcams]
        [--kinds rootsift xfeat] [--best 10] [--model tf_efficientnet_lite0-netvlad]

DATA_FOLDER holds `campus` (west and east half, by day and by night; radius 10 m, queries without a true match left
out), `tower` (25 floors of an office building, its published split; a place is a floor) and `webcams` (fixed cameras;
the photos of six hours of the day, UTC, against those of the other eighteen, four times). The rule was chosen on west,
tower and webcams; east was looked at once. Centres are fitted on the database of each split. Rankings and local
features are kept in FOLDER. Times are processor time of one thread: of finding the features of a photo, and of
re-ranking a query whose features and those of its candidates are there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import netvlad
from netvlad.evaluation.run import evaluate
from netvlad.experiments.ranker_factory import RankerOptions, build_rankers
from netvlad.experiments.tasks import Task
from netvlad.features.store import FeatureStore
from netvlad.search.rerank import Reranker, RerankOptions

PROTOCOL = netvlad.Protocol(radius=10.0, unmatched="drop")
NS = (1, 5, 10)
SETS = ("west", "east", "tower", "webcams")
TIMED = 30  # photos whose features are found, and queries that are re-ranked, once more for their time


def tasks(folder: Path, name: str) -> Iterator[tuple[str, Task]]:
    """The column and the task of each split of a set; splits of one column count together."""

    def task(label: str, database: netvlad.Places, queries: netvlad.Places) -> Task:
        return Task(label, label, database, queries, PROTOCOL)

    if name in ("west", "east"):
        day, night = (netvlad.read_places(folder / "campus" / f"{name}_{light}.csv") for light in ("day", "night"))
        for label, held, asked in (("night in day", day, night), ("day in night", night, day)):
            yield f"{name}, {label}", task(f"{name} {label}", held, asked)
        return
    photos = netvlad.read_places(folder / name / "places.csv")
    if name == "tower":
        held, asked = (photos[np.flatnonzero(photos.split == part)] for part in ("database", "query"))
        yield name, task(name, held, asked)
        return
    period = photos.time.astype("datetime64[h]").astype(np.int64) % 24 // 6
    for p in range(4):
        held, asked = (photos[np.flatnonzero((period == p) == mine)] for mine in (False, True))
        yield name, task(f"{name} {p}", held, asked)


def ms_a_photo(kind: str, photos: list[str]) -> float:
    """Processor time of finding the features of a photo."""
    store = FeatureStore(kind)
    some = photos[:: max(1, len(photos) // TIMED)][:TIMED]
    store.of(some[-1])
    start = time.process_time()
    for photo in some[:-1]:
        store.of(photo)
    return 1e3 * (time.process_time() - start) / (len(some) - 1)


def recalls(ranker, task: Task) -> tuple[np.ndarray, int]:
    """Queries that are right at N of NS, and the queries that count."""
    found = evaluate({"": ranker}, task.database, task.queries, PROTOCOL)
    asked = int(found.judged.sum())
    return np.array([found.methods[0].recall[n] for n in NS]) * asked, asked


def ms_a_query(ranker: Reranker, task: Task) -> float:
    """Processor time of re-ranking a query; what it needs is in the caches."""
    some = list(task.queries.path)[:: max(1, len(task.queries) // TIMED)][:TIMED]
    ranker.rank(some, max(NS))
    start = time.process_time()
    ranker.rank(some, max(NS))
    return 1e3 * (time.process_time() - start) / len(some)


def table(given: argparse.Namespace, name: str) -> None:
    """Print the table of a set."""
    hits: dict[tuple[str, str], list] = {}
    times: dict[str, list[float]] = {}
    for column, task in tasks(given.data, name):
        (built,) = build_rankers(given.model, given.model, task, RankerOptions({}, cache=given.out / "answers"))
        hits.setdefault(("no re-ranking", column), []).append(recalls(built.ranker, task))
        for kind in given.kinds:
            options = RerankOptions(best=given.best, kind=kind)
            ranker = Reranker(built.ranker, task.photos, options, cache=given.out / "features")
            hits.setdefault((kind, column), []).append(recalls(ranker, task))
            times.setdefault(kind, []).append(ms_a_query(ranker, task))
    columns = list(dict.fromkeys(column for _, column in hits))
    asked = [sum(n for _, n in hits["no re-ranking", column]) for column in columns]
    heads = [f"{column} ({n})" for column, n in zip(columns, asked, strict=True)]
    print(f"| features | {' | '.join(heads)} | ms a photo | ms a query |\n{'|---' * (len(columns) + 3)}|")
    for kind in ("no re-ranking", *given.kinds):
        cells = [
            " / ".join(f"{100 * value:.1f}" for value in sum(right for right, _ in hits[kind, column]) / n)
            for column, n in zip(columns, asked, strict=True)
        ]
        photo = f"{ms_a_photo(kind, task.photos):.0f}" if kind in times else "–"
        query = f"{np.mean(times[kind]):.0f}" if kind in times else "–"
        print(f"| {kind} | {' | '.join(cells)} | {photo} | {query} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--kinds", nargs="*", default=["rootsift", "xfeat"])
    parser.add_argument("--best", type=int, default=10)
    parser.add_argument("--model", default="tf_efficientnet_lite0-netvlad")
    given = parser.parse_args()
    for name in given.sets:
        table(given, name)


if __name__ == "__main__":
    main()
