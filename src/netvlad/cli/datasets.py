"""netvlad datasets: the field's benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.outputs import out_table

if TYPE_CHECKING:
    from netvlad.benchmarks import Benchmark

app = typer.Typer(help="List the field's benchmarks, check folders against them, and export their tables.")

EXAMPLE = "Example: netvlad datasets check pitts30k-test --root ~/data/pittsburgh"
EXPORT = "Example: netvlad datasets export pitts30k-test --root ~/data/pittsburgh --to pitts30k/"
Name = Annotated[str, typer.Argument(help="A benchmark, or the beginning of several names: pitts30k.")]
Root = Annotated[Path, typer.Option(help="The folder that holds the benchmark.")]


@app.callback(invoke_without_command=True)
def run(context: typer.Context) -> None:
    """List the field's benchmarks; check a folder against one, or export its tables."""
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    from netvlad.benchmarks import benchmark, list_benchmarks
    from netvlad.cli.common import say, table
    from netvlad.errors import PlacesError

    rows = []
    for name in list_benchmarks():
        try:
            b = benchmark(name)
        except PlacesError as error:  # another package's, which cannot be loaded
            say(str(error))
            continue
        rows.append([b.name, b.title, f"{b.images:,}" if b.images else "-", _size(b), b.licence, b.source])
    table(["benchmark", "what it is", "photos", "GB", "licence", "where from"], rows)
    print(
        "netvlad datasets show NAME: how to get it, its folders, its rules, published results; "
        "netvlad datasets check NAME --root DIR: what DIR lacks."
    )


@app.command(epilog="Example: netvlad datasets show tokyo247")
def show(name: Name) -> None:
    """Describe a benchmark: how to get it, its folders, its rules, published results."""
    from netvlad.benchmarks import family

    print("\n\n".join("\n".join(_facts(one)) for one in family(name)))


@app.command(epilog=EXAMPLE)
def check(name: Name, root: Root) -> None:
    """List what is missing or misplaced in a folder; exit code 1 if anything is."""
    from netvlad.benchmarks import family

    good = True
    for one in family(name):
        problems = one.check(root)
        good &= not problems
        print(f"{one.name}: {'' if problems else _verdict(one)}".rstrip())
        for problem in problems:
            print(f"  {problem}")
    if not good:
        raise typer.Exit(1)


@app.command(epilog=EXPORT)
def export(
    name: Annotated[str, typer.Argument(help="A benchmark.")],
    root: Root,
    to: Annotated[
        Path,
        typer.Option(
            help="A folder: database.parquet and queries.parquet, as evaluate takes them. Or a table (.parquet, .csv, "
            ".geojson): both in one with a split column, as train and demo take them.",
            callback=out_table,
        ),
    ],
) -> None:
    """Write a benchmark's photos and places as tables that every other command takes.

    What tables cannot hold (listed positives, junk, regions of interest, conditions) is written beside them as
    truth.json or NAME.truth.json, by row of database and queries.
    """
    from netvlad.benchmarks import benchmark
    from netvlad.benchmarks.export import write
    from netvlad.cli.common import say

    for path in write(benchmark(name).read(root), to):
        say(f"wrote {path}")


def _verdict(one: Benchmark) -> str:
    """What can be said of a folder without problems: "as published" only where its photos could be counted."""
    if one.counted:
        return "as published"
    about = f" exactly (about {one.images:,})" if one.images else ""
    return f"no problem found; how many photos the published set has is not known{about}"


def _size(one: Benchmark) -> str:
    return "-" if one.gigabytes is None else f"{one.gigabytes:g}"


def _facts(one: Benchmark) -> list[str]:
    counts = [f"{n:,} {what}" for n, what in ((one.database, "database"), (one.queries, "queries")) if n is not None]
    images = f"about {one.images:,}" if one.images else "as many as there are"
    lines = [
        f"{one.name}: {one.title}",
        f"photos: {', '.join(counts) or images}" + (f"; about {_size(one)} GB" if one.gigabytes else ""),
        f"licence: {one.licence}",
        f"from: {one.source}",
        f"how: {one.how}",
        f"rules: {_rules(one)}",
    ]
    for row in one.published:
        said = (f"{group} {' / '.join(f'{value:.1f}' for value in values)}" for group, values in row.recalls.items())
        lines.append(f"published: {row.label}: {'; '.join(said)}")
    return [*lines, one.layout]


def _rules(one: Benchmark) -> str:
    if one.kind == "train":
        return "none: it is to train on"
    protocol = one.protocol
    rules = ["mean average precision" if one.kind == "map" else "recall@N"]
    if protocol.frames is not None:
        rules.append(f"right up to {protocol.frames} {'frame' if protocol.frames == 1 else 'frames'} off")
    elif protocol.radius is None:
        rules.append("the benchmark says which photos are right")
    else:
        rules.append(f"right within {protocol.radius:g} m")
    if protocol.heading is not None:
        rules.append(f"and {protocol.heading:g} degrees")
    rules.append(f"queries without a match {'count' if protocol.unmatched == 'keep' else 'are left out'}")
    if protocol.best_per_panorama:
        rules.append("of each panorama only the best cut-out counts")
    if protocol.other_dates:
        rules.append("photos of the query's date do not count")
    rules.append(f"queries {protocol.query_resize}")
    if one.conditions:
        rules.append(f"also apart: {', '.join(one.conditions)}")
    return "; ".join(rules)
