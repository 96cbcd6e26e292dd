"""netvlad index: describe photos with known positions into an index."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.options import Clusters, Model, Radius, Resize, Stage, Strict, TrustCode, Unreadable, Workers
from netvlad.cli.outputs import out_folder

if TYPE_CHECKING:
    from netvlad.maps.index import PlaceIndex

EXAMPLE = "Example: netvlad index photos/ --out campus.vpr"


def run(
    photos: Annotated[Path, typer.Argument(help="A folder of geotagged photos, or a table (CSV, Parquet, GeoJSON).")],
    out: Annotated[Path, typer.Option(help="Folder of the index; an existing index is added to.", callback=out_folder)],
    model: Model = None,
    radius: Radius = None,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    strict: Strict = False,
    workers: Workers = None,
    trust_code: TrustCode = False,
    unreadable: Unreadable = None,
) -> None:
    """Describe photos whose places are known, and keep them in an index.

    Photos that the index holds are skipped, so an interrupted run goes on where it stopped.
    """
    from netvlad.cli.common import read_places, say, tell, tell_unreadable, write_unreadable
    from netvlad.errors import PlaceIndexError
    from netvlad.experiments.run import model_options

    left_out: dict[str, str] = {}
    places = read_places(photos, strict, left_out)
    start = time.perf_counter()
    index = open_or_create(out, model, radius, model_options(clusters, stage, resize), trust_code)
    added = index.add(places, workers=workers)
    tell_unreadable(added.unreadable)
    write_unreadable(left_out | added.unreadable, unreadable)
    tell(f"{out}: {len(added.replaced)} photos had changed; their new rows replace the old ones", added.replaced)
    say(
        f"{out}: {added.new} photos added, {added.known} were in it already, {len(index)} in all "
        f"({index.model.name}, {index.model.dim}-D, {time.perf_counter() - start:.1f} s)"
    )
    if not len(index):
        raise PlaceIndexError(f"is empty: none of the {len(places)} photos could be read", path=out)
    if index.calibration is None:
        say(f"answers will carry no confidence: {index.uncalibrated}")


def open_or_create(
    out: Path, model: str | None, radius: float | None, given: dict[str, Any], trust_code: bool = False
) -> PlaceIndex:
    """The index at `out`; refused where it was built with another model or settings than those asked for."""
    from netvlad.errors import PlaceIndexError
    from netvlad.maps.index import RADIUS, PlaceIndex
    from netvlad.pretrained.zoo import DEFAULT, is_saved, load
    from netvlad.runtime.artifacts import read_card

    if not (out / "manifest.json").exists():
        describer = load(model or DEFAULT, **given, trust_code=trust_code)
        return PlaceIndex.create(out, describer, radius=RADIUS if radius is None else radius)
    wanted: dict[str, Any] = {} if radius is None else {"radius": radius}
    if model is not None and (is_saved(model) or Path(model).is_dir()):
        index = PlaceIndex.open(out, load(model, trust_code=trust_code))  # refused by its identity
    else:
        index = PlaceIndex.open(out, trust_code=trust_code)
        wanted = {**({"model": model} if model else {}), **given, **wanted}
    has = {
        "model": index.model.name,
        "radius": index.radius,
        **read_card(out / "model", error=PlaceIndexError)["architecture"],
    }
    differs = [f"{k} {has.get(k)}, not {v}" for k, v in wanted.items() if has.get(k) != v]
    if differs:
        found = "; ".join(differs)
        raise PlaceIndexError(f"was built with {found}: choose another folder, or leave these out", path=out)
    return index
