"""Methods side by side, as the figure and the tables of a paper: what `netvlad compare` does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netvlad.benchmarks import Benchmark, benchmark, list_benchmarks
from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.experiments.ranker_factory import RankerOptions
from netvlad.experiments.run import COMPARED, Models, Result, labelled, make_task, model_options, run
from netvlad.places import Places
from netvlad.report.comparison import MAP, Panel, panels_of, published_panels, sweep_panels
from netvlad.report.figures import draw_map, draw_recall, draw_sweep
from netvlad.report.tables import latex, markdown
from netvlad.runtime.files import write_json, write_text

TITLE = 32  # letters of a benchmark's title over a panel


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result on each task, and the files that were written."""

    results: list[Result]
    files: list[Path]


def compare(
    models: Models = COMPARED,
    *,
    out: str | os.PathLike[str],
    database: Places | str | os.PathLike[str] | None = None,
    queries: Places | str | os.PathLike[str] | None = None,
    benchmark: str | Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    protocol: Protocol | None = None,
    whole_queries: bool = False,
    dims: Sequence[int] = (),
    published: bool = False,
    clusters: int | None = None,
    stage: str | None = None,
    resize: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Comparison:
    """Judge models on each benchmark, or on photos of one's own, and draw them side by side.

    out: the folder for the figure, the tables, results.json and the rankings, which are read when it runs again.
    benchmark: one name or several, a panel of the figure for each. dims: recall against the dimension, of whitened
    models cut to so many numbers. published: draw all published results, not only those that a model compares with.
    The rest, and errors, as for `netvlad.evaluate`.
    """
    given = [benchmark] if benchmark is None or isinstance(benchmark, str) else list(benchmark)
    tasks = [make_task(database, queries, name, root, protocol, whole_queries) for name in given]
    options = RankerOptions(
        model_options(clusters, stage, resize), seed, workers, Path(out) / "answers", tuple(sorted(set(dims)))
    )
    results = [run(task, labelled(models, short=True), options) for task in tasks]
    return Comparison(results, write_comparison(results, out, published=published))


def write_comparison(results: Sequence[Result], out: str | os.PathLike[str], *, published: bool = False) -> list[Path]:
    """Write the figure, if anything can be drawn, the tables and results.json; returns their paths."""
    out = Path(out)
    panels = [_panels(result, published) for result in results]
    every = [panel for of_task in panels for panel in of_task]
    rules = [result.summary["rules"] for result in results]
    swept = {name: model for result in results for name, model in result.swept.items()}
    if swept:
        sweeps = sweep_panels([of_task[0] for of_task in panels], swept)
        wrote = draw_sweep(sweeps, out / "dimensions") if any(line.at for p in sweeps for line in p.lines) else []
    else:
        wrote = _draw(every, out)
    write_json(out / "results.json", {result.task.name: result.summary for result in results})
    return [*wrote, *_tables(every, rules, out), out / "results.json"]


def compare_published(benchmarks: Iterable[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write published results of benchmarks alone as figure and tables; no photos are needed.

    Raises NetvladError where none are known.
    """
    panels: list[Panel] = []
    for known in map(benchmark, benchmarks):
        if not known.published:
            have = [name for name in list_benchmarks() if benchmark(name).published]
            raise NetvladError(f"no published numbers of {known.name} are known here; choose one of {', '.join(have)}")
        panels += published_panels(_short_title(known), known.published, MAP if known.kind == "map" else "recall")
    return [*_draw(panels, Path(out)), *_tables(panels, [], Path(out))]


def _panels(result: Result, published: bool) -> list[Panel]:
    task, rows = result.task, result.published
    drawn = [row for row in task.published if published or row in rows.values()]
    return panels_of(result.found, _short_title(task.benchmark) if task.benchmark else task.title, drawn, rows)


def _short_title(known: Benchmark) -> str:
    """A benchmark's title up to its colon where that is short, else its name."""
    title = known.title.partition(":")[0]
    return title if len(title) <= TITLE else known.name


def _draw(panels: Sequence[Panel], out: Path) -> list[Path]:
    """A figure of recall and one of mean average precision, of those panels that have numbers."""
    wrote: list[Path] = []
    for name, draw in (("recall", draw_recall), ("map", draw_map)):
        drawn = [panel for panel in panels if (panel.measure == MAP) == (name == "map")]
        if any(panel.has_numbers for panel in drawn):
            wrote += draw(drawn, out / name)
    return wrote


def _tables(panels: Sequence[Panel], rules: Sequence[dict[str, str]], out: Path) -> list[Path]:
    write_text(out / "table.md", markdown(panels, rules))
    write_text(out / "table.tex", latex(panels, rules))
    return [out / "table.md", out / "table.tex"]
