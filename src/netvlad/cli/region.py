"""Where and when to look, as it is written on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Near = Annotated[
    str | None,
    typer.Option(
        metavar="LAT,LON,RADIUS", help="Only photos near a point, as 31.262,34.801,2km or 31.262,34.801,500m."
    ),
]
Bbox = Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Only photos in a box of degrees.")]
After = Annotated[str | None, typer.Option(metavar="TIME", help="Only photos of that time or later: 2019, 2022-06-01.")]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="Only photos of before that time.")]
UseGps = Annotated[
    bool,
    typer.Option("--use-gps", help="Look within 500 m of the position that each photo states; say how far off it is."),
]
Root = Annotated[Path | None, typer.Option(help="Folder of the index's photos, where they have moved without it.")]
