"""netvlad compare: methods side by side, as the figure and the tables of a paper."""

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

EXAMPLE = (
    "Example: netvlad compare --benchmark pitts250k-test --root pittsburgh/ --models vgg16-max models/vgg16-trained "
    "--out figure/"
)


def run(
    out: Annotated[Path, typer.Option(help="The folder for the figure, the tables and what each method answered.")],
    models: Annotated[
        list[str] | None,
        typer.Option(help="Models' names or folders, or vocabtree, any with -distinct behind it: --models a b c."),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="", help="Further models and dimensions.")] = None,
    benchmark: Benchmarks = None,
    root: Root = None,
    database: Database = None,
    queries: Queries = None,
    dims: Annotated[
        list[str] | None,
        typer.Option(help="Recall against the dimension: whitened models cut to so many numbers, --dims 32 64 128."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="All published numbers too; without models those alone, without photos.")
    ] = False,
    radius: Radius = None,
    keep_unmatched: KeepUnmatched = False,
    best_per_panorama: BestPerPanorama = False,
    other_dates: OtherDates = False,
    whole_queries: WholeQueries = False,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    strict: Strict = False,
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Methods side by side: the curves of recall@N as PNG and SVG, their numbers in Markdown and LaTeX.

    Published numbers are dotted beside the models they are of. What each method answered is kept in the folder: the
    same command goes on with the next method after an interruption, and draws anew without describing anything twice.
    """
    from netvlad.cli.common import COMPARED, model_options, say
    from netvlad.experiments.ranker_factory import short_labels
    from netvlad.experiments.tasks import of_benchmarks, of_tables, own_rules

    names, cut = _given(models, dims, more or [])
    protocol = own_rules(radius, keep_unmatched, best_per_panorama, other_dates, benchmark)
    if published and not names and root is None and database is None:
        wrote = _published_alone(benchmark, out)
    else:
        labels = short_labels(names or COMPARED)
        if benchmark:
            tasks = of_benchmarks(benchmark, root, whole=whole_queries)
        else:
            tasks = of_tables(database, queries, protocol, strict)
        options = {"seed": seed, "workers": workers, "folder": out / "answers", "dims": cut}
        how = {"model": model_options(clusters, stage, resize), "methods": options}
        wrote = _compare(tasks, labels, how, out, published)
    say(f"wrote {', '.join(path.name for path in wrote)} into {out}")


def _given(models: list[str] | None, dims: list[str] | None, more: list[str]) -> tuple[list[str], list[int]]:
    """Models and dimensions: what stands behind the first of either arrives in `more`, numbers being dimensions."""
    from netvlad.errors import NetvladError

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
    return names, sorted({int(word) for word in numbers})


def _compare(tasks: list, labels: dict, how: dict, out: Path, every: bool) -> list[Path]:
    """Judge all methods on each task, then draw and write; returns the files."""
    from netvlad.cli.common import map_table, recall_table, say, told
    from netvlad.experiments.ranker_factory import Methods
    from netvlad.experiments.tasks import as_is, published_rows, tell_of
    from netvlad.report import recall_report, retrieval_report
    from netvlad.report.comparison import panels_of

    panels, facts, dims_of = [], {}, {}
    for task in tasks:
        methods = Methods(labels, how["model"], as_is=as_is([task]), near=task.near, **how["methods"])
        wrap, more = task.cropping()
        config = {"models": labels, "seed": how["methods"]["seed"], **how["model"], "task": task.name}
        found = task.judge(methods.makers(task.database.path, wrap, **more), config)
        say(f"\n{task.title}")
        tell_of(found, methods, task)
        rows = published_rows(methods, task) if not methods.dims else {}
        facts[task.name] = (retrieval_report if task.is_map else recall_report).summary(found, rows)
        (map_table if task.is_map else recall_table)(facts[task.name])
        told(facts[task.name]["rules"])
        dims_of |= methods.dims_of
        panels.append(
            panels_of(found, _heading(task), [r for r in task.published if every or r in rows.values()], rows)
        )
    return _write(panels, facts, dims_of, out)


def _heading(task) -> str:
    """What stands over a panel: a benchmark's title up to its colon where that is short, else its name."""
    return _short(task.benchmark) if task.benchmark else task.title


def _short(benchmark) -> str:
    title = benchmark.title.partition(":")[0]
    return title if len(title) <= 32 else benchmark.name


def _write(panels: list[list], facts: dict, dims_of: dict, out: Path) -> list[Path]:
    """The figure, the tables and results.json. panels: of each task."""
    from netvlad.report.comparison import sweep_panels
    from netvlad.report.figures import draw_sweep
    from netvlad.runtime.files import write_json

    rules = [one["rules"] for one in facts.values()]
    if not dims_of:
        wrote = _draw([panel for of_task in panels for panel in of_task], rules, out)
    else:
        swept = sweep_panels([of_task[0] for of_task in panels], dims_of)
        wrote = draw_sweep(swept, out / "dimensions") if any(line.at for p in swept for line in p.lines) else []
        wrote += _tables([panel for of_task in panels for panel in of_task], rules, out)
    write_json(out / "results.json", facts)
    return [*wrote, out / "results.json"]


def _draw(panels: list, rules: list, out: Path) -> list[Path]:
    from netvlad.cli.common import say
    from netvlad.report.comparison import MAP
    from netvlad.report.figures import draw_map, draw_recall

    wrote = []
    for name, draw in (("recall", draw_recall), ("map", draw_map)):
        drawn = [panel for panel in panels if (panel.measure == MAP) == (name == "map")]
        if not drawn:
            continue
        try:
            wrote += draw(drawn, out / name)
        except ValueError as e:
            say(f"no figure: {e}")
    return wrote + _tables(panels, rules, out)


def _tables(panels: list, rules: list, out: Path) -> list[Path]:
    from netvlad.report.tables import latex, markdown
    from netvlad.runtime.files import write_text

    write_text(out / "table.md", markdown(panels, rules))
    write_text(out / "table.tex", latex(panels, rules))
    return [out / "table.md", out / "table.tex"]


def _published_alone(names: list[str] | None, out: Path) -> list[Path]:
    """Published numbers as figure and tables; no photos are looked for."""
    from netvlad.benchmarks import benchmark, list_benchmarks
    from netvlad.benchmarks.published import results_on
    from netvlad.errors import NetvladError
    from netvlad.report.comparison import MAP, published_panels

    if not names:
        raise NetvladError("--published needs --benchmark, whose numbers are to be drawn")
    panels = []
    for one in map(benchmark, names):
        if not one.published:
            have = [name for name in list_benchmarks() if results_on(name)]
            raise NetvladError(f"no published numbers of {one.name} are known here; choose one of {', '.join(have)}")
        measure = MAP if one.kind == "map" else "recall"
        panels += published_panels(_short(one), one.published, measure)
    return _draw(panels, [], out)
