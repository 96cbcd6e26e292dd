"""netvlad export: write a map as files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad export campus.vpr --to hloc --out hloc/"


def run(
    index: Annotated[
        Path, typer.Argument(help="The index to export; for onnx a model or an index of one.", metavar="INDEX")
    ],
    to: Annotated[str, typer.Option(help="hloc, colmap-pairs, faiss, qdrant, geoparquet, table or onnx.")],
    out: Annotated[Path, typer.Option(help="The folder or file to write; nothing is overwritten.")],
    top: Annotated[
        int | None,
        typer.Option(help="Pair each photo with so many of the most similar (20); hloc, colmap-pairs.", min=1),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Numbers of an onnx network: float32 (as is), float16 or int8.")
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(help="Photos like those to come, a folder or table, that show int8 its ranges.")
    ] = None,
) -> None:
    """Write an index as files that other tools read: vectors, pairs or places; or a model as an ONNX network.

    Photos are named by their path relative to the root of the index.
    """
    from netvlad.cli.common import say
    from netvlad.errors import NetvladError
    from netvlad.export.formats import export
    from netvlad.maps.index import PlaceIndex

    if to == "onnx":
        if top is not None:
            raise NetvladError("onnx has no pairs: leave --top out")
        from netvlad.export.network import export_onnx
        from netvlad.places.io.queries import read_queries
        from netvlad.pretrained.zoo import load

        photos = read_queries([calibrate])[0] if calibrate else []
        is_map = (index / "manifest.json").exists()
        model = PlaceIndex.open(index).model if is_map else load(index)
        export_onnx(model, out, precision or "float32", photos)
        say(f"wrote {out}; use it with netvlad.load({str(out)!r})")
        return
    if precision or calibrate:
        raise NetvladError("--precision and --calibrate are for onnx alone: leave them out")
    opened = PlaceIndex.open(index)
    for file in export(opened, to, out, top=top):
        say(f"wrote {file}")
