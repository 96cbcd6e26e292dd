"""netvlad compare: methods side by side, as the figure and the tables of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    OtherDates,
    Queries,
    Radius,
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
from netvlad.errors import NetvladError

EXAMPLE = (
    "Example: netvlad compare --benchmark pitts250k-test --root pittsburgh/ --models vgg16-max models/vgg16-trained "
    "--out figure/"
)


def run(
    out: Annotated[
        Path, typer.Option(help="Folder for the figure, the tables and cached rankings.", callback=out_folder)
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(help="Names or folders of models, as for evaluate: --models a b c."),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="", help="More models and dimensions.")] = None,
    benchmark: Benchmarks = None,
    root: Root = None,
    database: Database = None,
    queries: Queries = None,
    dims: Annotated[
        list[str] | None,
        typer.Option(help="Draw recall against the dimension of whitened models: --dims 32 64 128."),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Draw all published results; without models only those, which needs no photos."
        ),
    ] = False,
    radius: Radius = None,
    keep_unmatched: KeepUnmatched = False,
    best_per_panorama: BestPerPanorama = False,
    other_dates: OtherDates = False,
    whole_queries: WholeQueries = False,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    trust_code: TrustCode = False,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    unreadable: Unreadable = None,
    seed: Seed = 0,
    workers: Workers = None,
    device: Device = None,
) -> None:
    """Compare methods: curves of recall@N as PNG and SVG, tables in Markdown and LaTeX.

    Published results are drawn dotted. The rankings of each method are cached in the folder: after an interruption the
    same command continues with the next method, and it draws again without describing photos twice.
    """
    from netvlad.cli.common import as_written, say, write_unreadable
    from netvlad.cli.tasks import benchmark_tasks, own_protocol, own_task, print_result
    from netvlad.experiments.comparison import compare_published, write_comparison
    from netvlad.experiments.ranker_factory import RankerOptions
    from netvlad.experiments.run import COMPARED, labelled, model_options
    from netvlad.experiments.run import run as run_task

    names, cut = _given(models, dims, more or [])
    protocol = own_protocol(benchmark, radius, keep_unmatched, best_per_panorama, other_dates)
    if published and not names and root is None and database is None:
        if not benchmark:
            raise NetvladError("--published needs --benchmark, whose numbers are to be drawn")
        wrote = compare_published(benchmark, out)
    else:
        if benchmark:
            tasks = benchmark_tasks(benchmark, root, whole_queries)
        else:
            tasks = [own_task(database, queries, protocol, strict, **as_written(columns, date_order))]
        labels = labelled(names or COMPARED, short=True)
        loading = model_options(clusters, stage, resize, trust_code=trust_code)
        options = RankerOptions(loading, seed, workers, out / "answers", cut)
        results = []
        for task in tasks:
            results.append(run_task(task, labels, options))
            say(f"\n{task.title}")
            print_result(results[-1], rules=True)
        bad = {path: reason for result in results for path, reason in result.found.unreadable.items()}
        write_unreadable(bad, unreadable)
        wrote = write_comparison(results, out, published=published)
    if not any(path.suffix == ".png" for path in wrote):
        say("no figure: nothing to draw: no method has a number")
    say(f"wrote {', '.join(path.name for path in wrote)} into {out}")


def _given(models: list[str] | None, dims: list[str] | None, more: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """Models and dimensions. Those after the first arrive in `more`, where numbers are dimensions."""
    behind = [word for text in more for word in text.split(",") if word]
    numbers = [word for text in dims or [] for word in text.split(",") if word]
    numbers += [word for word in behind if word.isdigit()]
    names = [*(models or []), *(word for word in behind if not word.isdigit())]
    if names and not models:
        raise NetvladError(f"{names[0]} stands behind no option; models are given as --models a b c")
    if numbers and not dims:
        raise NetvladError(f"{numbers[0]} stands behind no option; dimensions are given as --dims 32 64 128")
    wrong = [word for word in numbers if not word.isdigit() or int(word) < 1]
    if wrong:
        raise NetvladError(f"--dims {wrong[0]}: a number from 1 up is wanted")
    return names, tuple(sorted({int(word) for word in numbers}))
