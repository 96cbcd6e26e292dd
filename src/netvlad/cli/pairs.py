"""netvlad pairs: pairs of photos that may show the same place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Device, Model, Workers

EXAMPLE = "Example: netvlad pairs photos/ --top 20 --out pairs.txt"


def run(
    photos: Annotated[Path, typer.Argument(help="A folder of photos, placed or not, or an index of them.")],
    out: Annotated[Path, typer.Option(help="The file of pairs: two names a line, as hloc and COLMAP read them.")],
    top: Annotated[int, typer.Option(help="Pair each photo with so many of the most similar.", min=0)] = 20,
    within: Annotated[
        float | None, typer.Option(help="Pair it with all others up to so many metres away too.", min=0)
    ] = None,
    model: Model = None,
    workers: Workers = None,
    device: Device = None,
) -> None:
    """Find pairs of photos to match for structure from motion.

    Of a folder, an index is made beside the file of pairs, so that an interrupted run goes on and the next one is
    quick. Names are relative to the folder, or to the root of the index.
    """
    from netvlad.cli.common import say, tell_unreadable
    from netvlad.cli.index import open_or_create
    from netvlad.cli.unplaced import read_all_photos
    from netvlad.errors import NetvladError
    from netvlad.export.colmap import write_colmap_pairs
    from netvlad.export.names import refuse_existing
    from netvlad.maps.index import PlaceIndex
    from netvlad.runtime.counted import counted

    refuse_existing(out)  # before anything is described
    if (photos / "manifest.json").is_file():
        if model:
            raise NetvladError("is an index, with a model of its own: leave --model out", path=photos)
        index = PlaceIndex.open(photos)
    else:
        index = open_or_create(out.with_suffix(".vpr"), model, None, {}, photos=photos)
        tell_unreadable(index.sync(read_all_photos(photos, {}), source=photos, workers=workers).unreadable)
    (file,) = write_colmap_pairs(index, out, top=top, within=within)
    with open(file, encoding="utf-8") as lines:
        say(f"wrote {file}: {counted(sum(1 for _ in lines), 'pair')} of {counted(len(index), 'photo')}")
