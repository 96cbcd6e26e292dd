"""Where and when to look, as it is written on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.errors import NetvladError

if TYPE_CHECKING:
    from netvlad.maps.where import Where

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

_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(km|m)\s*")
_METRES = {"m": 1.0, "km": 1000.0}


def region(near: str | None, bbox: str | None, after: str | None, before: str | None) -> Where:
    """The conditions that were asked for. Raises NetvladError for what cannot be read."""
    from netvlad.maps.where import Where

    box = None if bbox is None else _numbers("--bbox", bbox.split(","), "W,S,E,N", 4)
    return Where(
        near=None if near is None else _near(near),
        bbox=None if box is None else (box[0], box[1], box[2], box[3]),
        after=after,
        before=before,
    )


def _near(text: str) -> tuple[float, float, float]:
    *point, radius = text.split(",")
    lat, lon = _numbers("--near", point, "LAT,LON,RADIUS", 2)
    found = _LENGTH.fullmatch(radius)
    if not found:
        raise NetvladError(f"--near: {radius!r} is no distance; 2km or 500m would be")
    return lat, lon, float(found[1]) * _METRES[found[2]]


def _numbers(option: str, parts: list[str], form: str, n: int) -> list[float]:
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != n or any(number != number for number in numbers):
        raise NetvladError(f"{option}: {','.join(parts)!r} is not of the form {form}")
    return numbers
