"""netvlad evaluate: recall@N of models on photos whose places are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad evaluate --database day.csv --queries night.csv --model resnet18-max --model models/mine"


def run(
    database: Annotated[Path, typer.Option(help="Photos to search: a folder or a table.")],
    queries: Annotated[Path, typer.Option(help="Photos to locate: a folder or a table.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name or folder, or vocabtree; may be given again.")
    ] = None,
    radius: Annotated[float, typer.Option(help="Metres within which a match counts as right.")] = 25.0,
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
    clusters: Annotated[int | None, typer.Option(help="Cluster centres of models given by name (64).")] = None,
    stage: Annotated[str | None, typer.Option(help="Where the trunk of models given by name is cropped.")] = None,
    resize: Annotated[
        int | None, typer.Option(help="Longest side to scale photos down to (640); 0: never.", min=0)
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

    A NetVLAD or VLAD given by name gets its cluster centres from the database photos (off the shelf). So does the
    vocabulary tree, vocabtree or, with its branching, depth and greedy paths, vocabtree-10x5-n5.
    """
    from netvlad.cli.common import COMPARED, model_options, read_places, recall_table, say, tell, tell_unreadable
    from netvlad.describe.fit import fit
    from netvlad.describe.zoo import load
    from netvlad.evaluate.report import summary, write_report
    from netvlad.evaluate.result import Protocol
    from netvlad.evaluate.run import evaluate
    from netvlad.search.bag_of_words import ranker_named
    from netvlad.search.rankers import MemoryRanker

    names = list(dict.fromkeys(model or COMPARED))
    options = model_options(clusters, stage, resize)
    verifying = _settings(rerank, local, geometry, budget)
    searched, asked = read_places(database, strict), read_places(queries, strict)

    def ranker(name: str):
        resized = {key: size for key, size in options.items() if key == "resize"}
        tree = ranker_named(name, searched.path, seed=seed, workers=workers, **resized)
        if tree:
            return tree
        describer = load(name, **options)
        if not describer.ready:
            fit(describer, searched.path, seed=seed, workers=workers)
        return MemoryRanker(describer, searched.path, workers=workers)

    protocol = Protocol(
        radius=radius,
        unmatched="keep" if keep_unmatched else "drop",
        best_per_panorama=best_per_panorama,
        other_dates=other_dates,
    )
    config = {"database": str(database), "queries": str(queries), "models": names, "seed": seed, **options}
    makers = {name: (lambda name=name: ranker(name)) for name in names}
    if verifying:
        config["rerank"], makers = verifying, _with_reranked(makers, searched.path, verifying)
    found = evaluate(makers, searched, asked, protocol, config)
    tell_unreadable(found.unreadable)
    tell("these queries are in the database too and find themselves", sorted(set(searched.path) & set(asked.path)))
    recall_table(summary(found))
    if best_per_panorama:
        print("of each panorama's cut-outs only the best counts")
    if other_dates:
        print("photos of the query's own date do not count")
    if out:
        say(f"wrote {write_report(found, out)}")


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
