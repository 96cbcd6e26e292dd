"""netvlad evaluate: how well models find places, on a benchmark or on photos of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad evaluate --database day.csv --queries night.csv --model resnet18-max --model models/mine"


def run(
    database: Annotated[Path | None, typer.Option(help="Photos to search: a folder or a table.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Photos to locate: a folder or a table.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name or folder, or vocabtree; may be given again.")
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(help="In place of one's own photos: a name that `netvlad datasets` lists; may be given again."),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="The folder that the benchmark is in.")] = None,
    radius: Annotated[float | None, typer.Option(help="Metres within which a match counts as right (25).")] = None,
    keep_unmatched: Annotated[
        bool,
        typer.Option(
            "--keep-unmatched", help="Leave queries without any true match in the denominator, as the paper does."
        ),
    ] = False,
    best_per_panorama: Annotated[
        bool,
        typer.Option("--best-per-panorama", help="Keep only the best cut-out of each panorama (Tokyo 24/7)."),
    ] = False,
    other_dates: Annotated[
        bool,
        typer.Option("--other-dates", help="Photos of the query's own date do not count (Tokyo Time Machine)."),
    ] = False,
    whole_queries: Annotated[
        bool, typer.Option("--whole-queries", help="Oxford and Paris: leave the queries' regions of interest alone.")
    ] = False,
    clusters: Annotated[int | None, typer.Option(help="Cluster centres of models given by name (64).")] = None,
    stage: Annotated[str | None, typer.Option(help="Where the backbone of models given by name is cropped.")] = None,
    resize: Annotated[
        int | None,
        typer.Option(help="Longest side to scale photos down to (640; as the benchmark says); 0: never.", min=0),
    ] = None,
    rerank: Annotated[
        int | None, typer.Option(help="Judge each model once more, its so many best put in order by geometry.", min=1)
    ] = None,
    local: Annotated[str | None, typer.Option(help="Features for --rerank: rootsift, sift, orb, akaze.")] = None,
    geometry: Annotated[str | None, typer.Option(help="Of --rerank: homography or fundamental.")] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds that --rerank may take for a query.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write results.json, curves and a page into this folder.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a table with bad rows instead of skipping them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the cluster centres, where they have to be fitted.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes that decode photos.", min=0)] = None,
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


def _judge(task, methods, config: dict, verifying: dict, folder: Path | None) -> None:
    """Evaluate on one task, print what was found, and write the report."""
    from netvlad.cli.common import map_table, recall_table, say, told
    from netvlad.errors import NetvladError
    from netvlad.experiments.tasks import published_rows, tell_of
    from netvlad.report import recall_report, retrieval_report

    wrap, more = task.cropping()
    makers = methods.makers(task.database.path, wrap, **more)
    if verifying:
        if task.is_map:
            raise NetvladError(f"{task.name} judges a ranking of all its photos: --rerank would order the first alone")
        config["rerank"], makers = verifying, _with_reranked(makers, task.database.path, verifying)
    found = task.judge(makers, config)
    tell_of(found, methods, task)
    rows = {label: (row, task.published[row]) for label, row in published_rows(methods, task).items() if row}
    if task.is_map:
        facts = retrieval_report.summary(found, rows)
        map_table(facts)
    else:
        facts = recall_report.summary(found, rows)
        recall_table(facts)
    if task.benchmark or task.protocol.best_per_panorama or task.protocol.other_dates:
        told(facts["rules"])
    if task.published and not rows:
        print(f"Published numbers are of {', '.join(task.published)}.")
    if folder:
        wrote = (retrieval_report if task.is_map else recall_report).write_report(found, folder, published=rows)
        say(f"wrote {wrote}")


def _settings(rerank: int | None, local: str | None, geometry: str | None, budget: float | None) -> dict:
    """What the Reranker is told; nothing where there is to be none."""
    from netvlad.errors import NetvladError
    from netvlad.search.rerank import Reranker

    given = {"kind": local, "model": geometry, "budget": budget}
    given = {name: value for name, value in given.items() if value is not None}
    if rerank is None:
        if given:
            raise NetvladError("--local, --geometry and --budget say how to re-rank: give --rerank N too")
        return {}
    settings = {"best": rerank, "kind": "rootsift", "model": "homography", **given}
    Reranker(None, [], **settings)  # refuses wrong ones now, not when all photos are described
    return settings


def _with_reranked(makers: dict, paths, settings: dict) -> dict:
    """Each maker, and after it one of the same ranker re-ranked; queries are described once."""
    from netvlad.search.rerank import Remembering, Reranker

    held: list = []

    def plain(name: str):
        held[:] = [Remembering(makers[name]())]
        return held[0]

    both = {}
    for name in makers:
        both[name] = lambda name=name: plain(name)
        both[f"{name} + rerank"] = lambda: Reranker(held.pop(), paths, **settings)
    return both
