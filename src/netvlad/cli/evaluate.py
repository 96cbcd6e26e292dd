"""netvlad evaluate: how well models find places, on a benchmark or on photos of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import (
    Benchmarks,
    BestPerPanorama,
    Clusters,
    Database,
    KeepUnmatched,
    Models,
    OtherDates,
    Queries,
    Radius,
    Resize,
    Root,
    Seed,
    Stage,
    Strict,
    WholeQueries,
    Workers,
)

EXAMPLE = "Example: netvlad evaluate --database day.csv --queries night.csv --model resnet18-max --model models/mine"


def run(
    database: Database = None,
    queries: Queries = None,
    model: Models = None,
    benchmark: Benchmarks = None,
    root: Root = None,
    radius: Radius = None,
    keep_unmatched: KeepUnmatched = False,
    best_per_panorama: BestPerPanorama = False,
    other_dates: OtherDates = False,
    whole_queries: WholeQueries = False,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    rerank: Annotated[
        int | None, typer.Option(help="Judge each model once more, its so many best put in order by geometry.", min=1)
    ] = None,
    local: Annotated[str | None, typer.Option(help="Features for --rerank: rootsift, sift, orb, akaze.")] = None,
    geometry: Annotated[str | None, typer.Option(help="Of --rerank: homography or fundamental.")] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds that --rerank may take for a query.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write results.json, curves and a page into this folder.")] = None,
    strict: Strict = False,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Recall@N of one or more models: how often a query's N best matches hold one taken near it.

    A benchmark is judged by its own rules, and published numbers stand beside the models they are of; Oxford, Paris and
    Holidays by mean average precision. A NetVLAD or VLAD given by name gets its cluster centres from the database
    photos (off the shelf). So does the vocabulary tree, vocabtree or, with its branching, depth and greedy paths,
    vocabtree-10x5-n5. With -distinct behind a name, densevlad-distinct, the database is searched by what tells its
    photos from those of other places.
    """
    from netvlad.cli.common import COMPARED, model_options
    from netvlad.experiments.ranker_factory import Methods
    from netvlad.experiments.tasks import as_is, of_benchmarks, of_tables, own_rules

    names = list(dict.fromkeys(model or COMPARED))
    options = model_options(clusters, stage, resize)
    verifying = _settings(rerank, local, geometry, budget)
    protocol = own_rules(radius, keep_unmatched, best_per_panorama, other_dates, benchmark)
    if benchmark:
        tasks = of_benchmarks(benchmark, root, whole=whole_queries)
    else:
        tasks = of_tables(database, queries, protocol, strict)
    for task in tasks:
        folder = out / task.name if out and len(tasks) > 1 else out
        kept = {"folder": folder / "answers" if folder else None, "as_is": as_is([task]), "near": task.near}
        methods = Methods(names, options, seed=seed, workers=workers, **kept)
        source = {"benchmark": task.name, "root": str(root)} if task.benchmark else {}
        config = source or {"database": str(database), "queries": str(queries)}
        _judge(task, methods, {**config, "models": names, "seed": seed, **options}, verifying, folder)


def _judge(task, methods, config: dict, verifying, folder: Path | None) -> None:
    """Evaluate on one task, print what was found, and write the report."""
    from dataclasses import asdict

    from netvlad.cli.common import map_table, recall_table, say, told
    from netvlad.errors import NetvladError
    from netvlad.experiments.tasks import published_rows, tell_of
    from netvlad.report import recall_report, retrieval_report

    wrap, more = task.cropping()
    makers = methods.makers(task.database.path, wrap, **more)
    if verifying:
        if task.is_map:
            raise NetvladError(f"{task.name} judges a ranking of all its photos: --rerank would order the first alone")
        config["rerank"] = {name: value for name, value in asdict(verifying).items() if value is not None}
        makers = _with_reranked(makers, task.database.path, verifying)
    found = task.judge(makers, config)
    tell_of(found, methods, task)
    rows = published_rows(methods, task)
    if task.is_map:
        facts = retrieval_report.summary(found, rows)
        map_table(facts)
    else:
        facts = recall_report.summary(found, rows)
        recall_table(facts)
    if task.benchmark or task.protocol.best_per_panorama or task.protocol.other_dates:
        told(facts["rules"])
    if task.published and not rows:
        print(f"Published numbers are of {', '.join(row.label for row in task.published)}.")
    if folder:
        wrote = (retrieval_report if task.is_map else recall_report).write_report(found, folder, published=rows)
        say(f"wrote {wrote}")


def _settings(rerank: int | None, local: str | None, geometry: str | None, budget: float | None):
    """How rankings are verified; None where they are not."""
    from netvlad.errors import NetvladError
    from netvlad.search.rerank import RerankOptions

    given = {"kind": local, "model": geometry, "budget": budget}
    given = {name: value for name, value in given.items() if value is not None}
    if rerank is None:
        if given:
            raise NetvladError("--local, --geometry and --budget say how to re-rank: give --rerank N too")
        return None
    return RerankOptions(best=rerank, **given)


def _with_reranked(makers: dict, paths, options) -> dict:
    """Each maker, and after it one of the same ranker re-ranked; queries are described once."""
    from netvlad.experiments.cached_ranker import MemoizedRanker
    from netvlad.search.rerank import Reranker

    held: list = []

    def plain(name: str):
        held[:] = [MemoizedRanker(makers[name]())]
        return held[0]

    both = {}
    for name in makers:
        both[name] = lambda name=name: plain(name)
        both[f"{name} + rerank"] = lambda: Reranker(held.pop(), paths, options)
    return both
