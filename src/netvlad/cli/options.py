"""Options that several commands share, stated once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.outputs import out_file
from netvlad.describe.device import choose_device


def _choose_device(name: str | None) -> None:
    if name:
        choose_device(name)


# photos and places
Database = Annotated[Path | None, typer.Option(help="Photos to search: a folder or a table.")]
Queries = Annotated[Path | None, typer.Option(help="Photos to locate: a folder or a table.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a table with invalid rows instead of skipping them.")]
Columns = Annotated[str | None, typer.Option(help="Columns with names of their own: lat=Breite,lon=Laenge.")]
DateOrder = Annotated[str | None, typer.Option(help="day-first or month-first, for dates such as 03/12/2024.")]
Workers = Annotated[int | None, typer.Option(help="Number of processes that decode photos.", min=0)]
Ray = Annotated[
    str | None,
    typer.Option(help="Describe on a Ray cluster: its address, or auto for this machine's or one that is started."),
]
NumGpus = Annotated[float, typer.Option(help="GPUs of each worker of the Ray cluster.", min=0)]
RayWorkers = Annotated[
    int | None, typer.Option(help="Workers of the Ray cluster (all that it has GPUs or cores for).", min=1)
]

# benchmarks and their rules
Benchmarks = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark",
        help="A benchmark that `netvlad datasets` lists, instead of --database and --queries; may be given again.",
    ),
]
Root = Annotated[Path | None, typer.Option(help="The folder that holds the benchmark.")]
Radius = Annotated[float | None, typer.Option(help="Distance in metres up to which a match is correct (25).")]
KeepUnmatched = Annotated[
    bool,
    typer.Option(
        "--keep-unmatched", help="Count queries without any true match in the denominator, as the paper does."
    ),
]
BestPerPanorama = Annotated[
    bool, typer.Option("--best-per-panorama", help="Keep only the best cut-out of each panorama (Tokyo 24/7).")
]
OtherDates = Annotated[
    bool, typer.Option("--other-dates", help="Ignore photos taken on the query's own date (Tokyo Time Machine).")
]
WholeQueries = Annotated[
    bool, typer.Option("--whole-queries", help="Do not crop queries to their region of interest (Oxford, Paris).")
]

# models
Model = Annotated[str | None, typer.Option(help="A model's name or folder (default).")]
Models = Annotated[list[str] | None, typer.Option("--model", help="A model's name or folder; may be given again.")]
Clusters = Annotated[int | None, typer.Option(help="Number of cluster centres of a model given by name (64).")]
Stage = Annotated[str | None, typer.Option(help="Layer at which the backbone of a model given by name is cropped.")]
Resize = Annotated[
    int | None, typer.Option(help="Longest side in pixels to scale photos down to (640); 0 never scales.", min=0)
]
Device = Annotated[  # chosen while the command line is read, for all networks of the process
    str | None,
    typer.Option(help="Where networks run: cpu, cuda, cuda:1 or mps ($NETVLAD_DEVICE).", callback=_choose_device),
]
Unreadable = Annotated[
    Path | None,
    typer.Option(
        "--unreadable",
        help="Write all photos that could not be read, with reasons, to this CSV file.",
        callback=out_file,
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Let a saved model run code of the repository that it names (torch.hub)."),
]
Seed = Annotated[int, typer.Option(help="Seed of the random choices: photos, local descriptors, cluster centres.")]
