"""netvlad cutouts: perspective views of panoramas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Columns, DateOrder, Strict
from netvlad.cli.outputs import out_folder
from netvlad.runtime.counted import counted

EXAMPLE = "Example: netvlad cutouts town/panoramas.csv --out town/cutouts --layout pittsburgh --width 320"


def run(
    panoramas: Annotated[Path, typer.Argument(help="Equirectangular panoramas: a folder or a table.")],
    out: Annotated[Path, typer.Option(help="The folder for photos/ and places.parquet.", callback=out_folder)],
    layout: Annotated[
        str, typer.Option(help="pittsburgh: 12 headings x pitches 4 and 26.5; tokyo: 12 headings, pitch 12.")
    ] = "pittsburgh",
    width: Annotated[int | None, typer.Option(help="Pixels; alone it keeps the layout's proportions.", min=1)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; alone it keeps the layout's proportions.", min=1)] = None,
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view in degrees (60).", min=1, max=179)] = None,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    workers: Annotated[int | None, typer.Option(help="Processes that cut panoramas.", min=0)] = None,
) -> None:
    """Cut panoramas into photos of perspective cameras, with a table of their places.

    After an interruption the same command goes on; existing cut-outs are not made again.
    """
    import numpy as np

    from netvlad.cli.common import as_written, read_places, say, tell
    from netvlad.panoramas.cut_outs import find_layout, write_cut_outs

    chosen = find_layout(layout).sized(width, height, fov)
    places = write_cut_outs(
        read_places(panoramas, strict, **as_written(columns, date_order)), out, chosen, workers=workers
    )
    tell(f"{counted(len(places.skipped), 'panorama was', 'panoramas were')} left out", [str(s) for s in places.skipped])
    blind = np.isnan(places.heading).sum()
    if blind:
        say(f"{blind} cut-outs have no heading: their panoramas have none")
    count = len(places) // len(chosen.cameras())
    say(f"{len(places)} cut-outs of {count} panorama{'s' * (count != 1)} in {out / 'places.parquet'}")
