"""Options of `netvlad locate` for files of answers, and what becomes of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.outputs import out_file

if TYPE_CHECKING:
    from netvlad.export.found.table import Answer


def _out(files: list[Path] | None) -> list[Path] | None:
    from netvlad.export.found.write import check_found

    for file in files or ():
        out_file(file)
        check_found(file)
    return files


Out = Annotated[
    list[Path] | None,
    typer.Option(
        help="Write the answers: .csv, .geojson, .gpx, .kml, .gpkg or .parquet; may be given again.", callback=_out
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(help="Write only answers of this confidence or more; all are printed.", min=0, max=1),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be written.")]


def write_answers(
    answers: Sequence[Answer], files: Sequence[Path], searched: str, min_confidence: float | None, dry_run: bool
) -> None:
    """Write the answers that are sure enough to each of `files`, and tell; searched: the map."""
    from netvlad.cli.common import say
    from netvlad.export.found.write import sure_enough, write_found
    from netvlad.runtime.counted import counted

    kept = sure_enough(answers, min_confidence)
    left = len(answers) - len(kept)
    for file in files:
        if not dry_run:
            write_found(kept, file, searched)
        told = counted(len(kept), "answer") + (f", {left} too unsure" if left else "")
        say(f"{'would write' if dry_run else 'wrote'} {file}: {told}")
