"""netvlad synthesise: virtual photos from panoramas with depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Columns, DateOrder, Strict
from netvlad.cli.outputs import out_folder

EXAMPLE = "Example: netvlad synthesise panoramas.parquet --out virtual/ --width 640 --height 480"


def run(
    panoramas: Annotated[Path, typer.Argument(help="Table of panoramas: path, lat, lon, heading, time.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the photos and their table, places.parquet.", callback=out_folder)
    ],
    spacing: Annotated[float, typer.Option(help="Metres between virtual positions.", min=0.1)] = 5.0,
    reach: Annotated[
        float, typer.Option(help="Largest distance in metres from a panorama to a virtual position.", min=0.1)
    ] = 20.0,
    dates: Annotated[str, typer.Option(help="Which of several dates at a place: latest or all.")] = "latest",
    sources: Annotated[
        int, typer.Option(help="Panoramas per view; all but the nearest fill holes. 1: as in the paper.", min=1)
    ] = 2,
    headings: Annotated[int, typer.Option(help="Views around each position.", min=1, max=360)] = 12,
    pitch: Annotated[float, typer.Option(help="Pitch of the views in degrees, upwards.", min=-90, max=90)] = 12.0,
    fov: Annotated[float, typer.Option(help="Horizontal field of view in degrees.", min=1, max=170)] = 60.0,
    width: Annotated[int, typer.Option(help="Width of a view in pixels.", min=1, max=16000)] = 1280,
    height: Annotated[int, typer.Option(help="Height of a view in pixels.", min=1, max=16000)] = 960,
    max_holes: Annotated[
        float, typer.Option(help="Views with a larger share of undefined pixels are not kept.", min=0, max=1)
    ] = 0.5,
    max_stretch: Annotated[
        float, typer.Option(help="Surfaces that panoramas saw more than so many times smaller are undefined.", min=1)
    ] = 2.0,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=0)] = None,
) -> None:
    """Render virtual photos around panoramas with depth, to add to a database (24/7 view synthesis).

    Views in the folder are kept, so the same command resumes an interrupted run.
    """
    from netvlad.cli.common import as_written, read_places, say, tell
    from netvlad.panoramas.synthesis.views import Settings, synthesise

    settings = Settings(spacing, reach, dates, sources, headings, pitch, fov, width, height, max_holes, max_stretch)
    done = synthesise(read_places(panoramas, strict, **as_written(columns, date_order)), out, settings, workers=workers)
    reasons = [f"{path}: {why}" for path, why in done.unusable.items()]
    tell(f"{len(reasons)} panoramas could not be used", reasons)
    say(
        f"{out}: {done.made} views made, {len(done.places)} in all from {done.positions} virtual positions, "
        f"{done.holes:.1%} of their pixels undefined; {done.skipped} with more than {max_holes:.0%} left out"
    )
