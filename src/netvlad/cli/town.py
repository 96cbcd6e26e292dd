"""netvlad town: a small street-view world from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netvlad.cli.outputs import out_folder
from netvlad.runtime.counted import counted

app = typer.Typer(
    help="A street-view town drawn from a seed: panoramas with depth, several dates, ground truth.",
    no_args_is_help=True,
)

EXAMPLE = "Example: netvlad town build --seed 7 --size small --out town/"
Three = tuple[int, int, int]


@app.command(epilog=EXAMPLE)
def build(
    out: Annotated[
        Path, typer.Option(help="Folder of the town; an interrupted build in it is resumed.", callback=out_folder)
    ],
    seed: Annotated[int, typer.Option(help="Seed that the town is drawn from.", min=0)] = 7,
    size: Annotated[
        str, typer.Option(help="tiny (a test), small (the demo) or city (thousands of panoramas).")
    ] = "small",
    neighbourhoods: Annotated[Three | None, typer.Option(help="Number in train, val and test.")] = None,
    streets: Annotated[tuple[int, int] | None, typer.Option(help="Streets along each axis of a neighbourhood.")] = None,
    spacing: Annotated[float | None, typer.Option(help="Metres between panoramas.", min=1)] = None,
    dates: Annotated[
        Three | None, typer.Option(help="Number of surveys by the camera car in train, val and test.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of a panorama in pixels.", min=64)] = None,
    visits: Annotated[
        int | None, typer.Option(help="Visits by people with phones, in turn by day, at sunset and by night.", min=1)
    ] = None,
    queries: Annotated[int | None, typer.Option(help="Photos per visit.", min=1)] = None,
    photo: Annotated[tuple[int, int] | None, typer.Option(help="Width and height of cut-outs and queries.")] = None,
    gps: Annotated[float, typer.Option(help="Error of recorded positions: standard deviation in metres.", min=0)] = 2.0,
    compass: Annotated[
        float, typer.Option(help="Error of recorded headings: standard deviation in degrees.", min=0)
    ] = 1.5,
    workers: Annotated[int | None, typer.Option(help="Worker processes; by default one per core.", min=0)] = None,
) -> None:
    """Build a town: panoramas with depth, cut-outs, queries, tables and ground truth for train, val and test.

    The same command resumes an interrupted build. Every other command takes its tables.
    """
    from dataclasses import replace

    from netvlad.cli.common import say
    from netvlad.places import read_places
    from netvlad.town.build import build_town
    from netvlad.town.capture_plan import SPLITS, find_size
    from netvlad.town.contact_sheet import write_contact_sheet

    given: dict[str, Any] = {
        "neighbourhoods": neighbourhoods,
        "streets": streets,
        "spacing": spacing,
        "dates": dates,
        "width": width,
        "visits": visits,
        "queries": queries,
        "photo": photo,
    }
    chosen = replace(find_size(size), **{name: value for name, value in given.items() if value is not None})
    build_town(out, seed, chosen, gps=gps, compass=compass, workers=workers)
    splits = [out / split for split in SPLITS if (out / split).is_dir()]
    for split in splits:
        panoramas, photos = read_places(split / "panoramas.parquet"), read_places(split / "places.parquet")
        asked = sum(photos.split == "query")
        say(
            f"{split}: {counted(len(panoramas), 'panorama')}, {counted(len(photos) - asked, 'cut-out')}, "
            f"{counted(asked, 'query', 'queries')}"
        )
    say(f"look at it: {write_contact_sheet(splits[-1], out / 'sheet.jpg')}")  # the test split's, where there is one
    say(f"ask it: netvlad demo {splits[-1] / 'places.parquet'}")


@app.command(epilog="Example: netvlad town cameras --out cams/ && netvlad fit --cameras cams/places.csv ...")
def cameras(
    out: Annotated[
        Path, typer.Option(help="Folder of the photos; an interrupted build in it is resumed.", callback=out_folder)
    ],
    seed: Annotated[int, typer.Option(help="Seed that the town is drawn from.", min=0)] = 11,
    neighbourhoods: Annotated[int, typer.Option(help="Number of neighbourhoods.", min=1)] = 3,
    cameras: Annotated[int, typer.Option(help="Fixed cameras in each neighbourhood.", min=1)] = 5,
    moments: Annotated[
        int, typer.Option(help="Photos by each: three quarters day, sunset, night in turn.", min=2)
    ] = 24,
    photo: Annotated[tuple[int, int], typer.Option(help="Width and height of a photo.")] = (320, 240),
    workers: Annotated[int | None, typer.Option(help="Worker processes; by default one per core.", min=0)] = None,
) -> None:
    """Draw what fixed cameras see in every light, weather and season, as a table for `netvlad fit --cameras`."""
    from netvlad.cli.common import say
    from netvlad.town.fixed_cameras import build_fixed_cameras

    table = build_fixed_cameras(
        out, seed, neighbourhoods=neighbourhoods, cameras=cameras, moments=moments, photo=photo, workers=workers
    )
    say(f"{table}: {counted(neighbourhoods * cameras, 'camera')}, {counted(moments, 'photo')} of each")
