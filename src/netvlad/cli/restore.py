"""netvlad restore: bring back an earlier version of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad restore campus.vpr 12"


def run(
    index: Annotated[Path, typer.Argument(help="An index made by `netvlad index`.")],
    version: Annotated[int, typer.Argument(help="A number that `netvlad info --versions` lists.")],
) -> None:
    """Bring back the photos and places that an index had in an earlier version.

    What it has now becomes an earlier version too, and can be brought back in the same way.
    """
    from netvlad.cli.common import say
    from netvlad.maps.index import PlaceIndex
    from netvlad.runtime.counted import counted

    opened = PlaceIndex.open(index)
    before = opened.store.version
    photos = counted(opened.restore(version), "photo")
    say(f"{index}: {photos}, as in version {version}; `netvlad restore {index} {before}` takes it back")
