"""netvlad check: is an index as it was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad check campus.vpr --deep"


def run(
    index: Annotated[Path, typer.Argument(help="An index made by `netvlad index`.")],
    deep: Annotated[bool, typer.Option("--deep", help="Read every vector too, not only every place.")] = False,
) -> None:
    """Check an index for damage, part by part. Nothing is changed; the exit code is 1 where something is damaged."""
    from netvlad.maps.check import check_index

    damaged = False
    for finding in check_index(index, deep=deep):
        print(f"{'ok' if finding.sound else 'DAMAGED':8} {finding.part}: {finding.text}")
        damaged = damaged or not finding.sound
    if damaged:
        raise typer.Exit(1)
