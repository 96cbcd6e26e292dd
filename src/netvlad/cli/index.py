"""netvlad index: describe photos with known positions into an index."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad index photos/ --out campus.vpr"


def run(
    photos: Annotated[Path, typer.Argument(help="A folder of geotagged photos, or a table (CSV, Parquet, GeoJSON).")],
    out: Annotated[Path, typer.Option(help="The index, a folder; added to if it is there.")],
    model: Annotated[str | None, typer.Option(help="A model's name or folder, by default resnet18-netvlad.")] = None,
    radius: Annotated[float | None, typer.Option(help="Metres within which an answer counts as right (25).")] = None,
    clusters: Annotated[int | None, typer.Option(help="Cluster centres of a model given by name (64).")] = None,
    stage: Annotated[str | None, typer.Option(help="Where the backbone of a model given by name is cropped.")] = None,
    resize: Annotated[
        int | None, typer.Option(help="Longest side to scale photos down to (640); 0: never.", min=0)
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a table with bad rows instead of skipping them.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that decode photos.", min=0)] = None,
) -> None:
    """Describe photos whose places are known, and keep them in an index.

    Photos already in the index are skipped, so an interrupted run goes on where it stopped.
    """
    from netvlad.cli.common import model_options, read_places, say, tell_unreadable
    from netvlad.errors import PlaceIndexError

    places = read_places(photos, strict)
    start = time.perf_counter()
    index = open_or_create(out, model, radius, model_options(clusters, stage, resize))
    added = index.add(places, workers=workers)
    tell_unreadable(added.unreadable)
    say(
        f"{out}: {added.new} photos added, {added.known} were in it already, {len(index)} in all "
        f"({index.model.name}, {index.model.dim}-D, {time.perf_counter() - start:.1f} s)"
    )
    if not len(index):
        raise PlaceIndexError(f"{out} is empty: none of the {len(places)} photos could be read")
    if isinstance(index.calibration, str):
        say(f"answers will carry no confidence: {index.calibration}")


def open_or_create(out: Path, model: str | None, radius: float | None, options: dict):
    """The index at `out`; refused where it was built with another model or settings than those asked for."""
    from netvlad.errors import PlaceIndexError
    from netvlad.maps.index import RADIUS, PlaceIndex
    from netvlad.pretrained.zoo import DEFAULT, load

    if not (out / "manifest.json").exists():
        return PlaceIndex.create(out, load(model or DEFAULT, **options), radius=RADIUS if radius is None else radius)
    saved = model is not None and Path(model).is_dir()
    index = PlaceIndex.open(out, load(model) if saved else None)
    wanted = {} if saved else {**({"model": model} if model else {}), **options}
    wanted |= {} if radius is None else {"radius": radius}
    has = {"model": index.model.name, "radius": index.radius, **index.model.architecture}
    differs = [f"{k} {has.get(k)}, not {v}" for k, v in wanted.items() if has.get(k) != v]
    if differs:
        raise PlaceIndexError(f"{out} was built with {'; '.join(differs)}: choose another folder, or leave these out")
    return index
