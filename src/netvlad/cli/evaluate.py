"""netvlad evaluate: recall of models on a benchmark or on your own photos."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.options import (
    Benchmarks,
    BestPerPanorama,
    Clusters,
    Columns,
    Database,
    DateOrder,
    Device,
    KeepUnmatched,
    Models,
    NumGpus,
    OtherDates,
    Queries,
    Radius,
    Ray,
    RayWorkers,
    Resize,
    Root,
    Seed,
    Stage,
    Strict,
    TrustCode,
    Unreadable,
    WholeQueries,
    Workers,
)
from netvlad.cli.outputs import out_folder

if TYPE_CHECKING:
    from netvlad.search.rerank import RerankOptions

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
    trust_code: TrustCode = False,
    rerank: Annotated[
        int | None,
        typer.Option(help="Evaluate each model once more, with its best N matches re-ranked by geometry.", min=1),
    ] = None,
    local: Annotated[
        str | None, typer.Option(help="Local features for --rerank: rootsift, sift, orb, akaze, xfeat.")
    ] = None,
    geometry: Annotated[str | None, typer.Option(help="Geometry for --rerank: homography or fundamental.")] = None,
    budget: Annotated[float | None, typer.Option(help="Time limit of --rerank in seconds per query.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for results.json, the curve, a page and cached rankings.", callback=out_folder),
    ] = None,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    unreadable: Unreadable = None,
    seed: Seed = 0,
    workers: Workers = None,
    ray: Ray = None,
    num_gpus: NumGpus = 0,
    ray_workers: RayWorkers = None,
    device: Device = None,
) -> None:
    """Measure recall@N: the share of queries with a correct match among their N best.

    A benchmark has its own protocol; Oxford, Paris and Holidays use mean average precision. Published results are
    printed below the models that they belong to. A NetVLAD or VLAD model given by name gets its cluster centres from
    the database photos (off the shelf), and so does a vocabulary tree: vocabtree or, with branching, depth and greedy
    paths, vocabtree-10x5-n5. NAME-distinct replaces each database vector by what distinguishes its place from others.
    """
    from netvlad.cli.common import as_written, say, write_unreadable
    from netvlad.cli.tasks import benchmark_tasks, own_protocol, own_task, print_result
    from netvlad.cluster.describing import cluster_given, describe_on, workers_told
    from netvlad.experiments.ranker_factory import RankerOptions
    from netvlad.experiments.run import COMPARED, labelled, model_options
    from netvlad.experiments.run import run as run_task

    loading = model_options(clusters, stage, resize, trust_code=trust_code)
    cluster = cluster_given(ray, num_gpus, ray_workers, trust_code)
    if cluster is not None:
        say(f"describes with {workers_told(cluster)}")  # which may not answer: before models are read
    describing = None if cluster is None else partial(describe_on, cluster, workers=workers)
    reranking = _rerank(rerank, local, geometry, budget)
    options = RankerOptions(loading, seed, workers, rerank=reranking, describing=describing)
    protocol = own_protocol(benchmark, radius, keep_unmatched, best_per_panorama, other_dates)
    if benchmark:
        tasks = benchmark_tasks(benchmark, root, whole_queries)
    else:
        tasks = [own_task(database, queries, protocol, strict, **as_written(columns, date_order))]
    bad: dict[str, str] = {}
    for task in tasks:
        folder = out / task.name if out and len(tasks) > 1 else out
        cache = folder / "answers" if folder else None
        result = run_task(task, labelled(model or COMPARED), replace(options, cache=cache))
        print_result(result)
        bad |= result.found.unreadable
        if task.published and not result.published:
            print(f"Published numbers are of {', '.join(row.label for row in task.published)}.")
        if folder:
            say(f"wrote {result.write_report(folder)}")
    write_unreadable(bad, unreadable)


def _rerank(best: int | None, local: str | None, geometry: str | None, budget: float | None) -> RerankOptions | None:
    """How rankings are verified; None where they are not."""
    from netvlad.cli.common import advise_xfeat
    from netvlad.errors import NetvladError
    from netvlad.search.rerank import RerankOptions

    if best is not None and local is None:
        advise_xfeat()
    given: dict[str, Any] = {"kind": local, "model": geometry, "budget": budget}
    given = {name: value for name, value in given.items() if value is not None}
    if best is not None:
        return RerankOptions(best=best, **given)
    if given:
        raise NetvladError("--local, --geometry and --budget say how to re-rank: give --rerank N too")
    return None
