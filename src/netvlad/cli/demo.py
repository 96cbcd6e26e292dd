"""netvlad demo: index, locate and report on your own photos, or on a generated town."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.options import Columns, DateOrder, Device, Models, Unreadable, Workers
from netvlad.cli.outputs import out_folder

if TYPE_CHECKING:
    from netvlad.places import Places

EXAMPLE = "Example: netvlad demo photos/ --out demo/, or, without any photos, netvlad demo"


def run(
    photos: Annotated[
        Path | None,
        typer.Argument(help="A folder of geotagged photos, or a table; by default a generated town (netvlad town)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report and the indexes.", callback=out_folder)] = Path(
        "out/demo"
    ),
    model: Models = None,
    radius: Annotated[
        float | None,
        typer.Option(help="Distance in metres up to which a match is correct (25; 10 on a map below 500 m)."),
    ] = None,
    columns: Columns = None,
    date_order: DateOrder = None,
    workers: Workers = None,
    unreadable: Unreadable = None,
    device: Device = None,
) -> None:
    """Hold some photos out, index the others, locate those held out, and report how well that went.

    Whole sessions are held out where times are known (by night, if there are photos by day and by night). Without
    photos: phone pictures of a generated town by day, at sunset and by night, against panoramas of other days.
    """
    from netvlad.benchmarks.protocol import Protocol
    from netvlad.cli.common import as_written, read_places, recall_table, say, tell_unreadable, write_unreadable
    from netvlad.cli.index import open_or_create
    from netvlad.evaluation.run import evaluate
    from netvlad.experiments.run import COMPARED
    from netvlad.maps.ranker import IndexRanker
    from netvlad.places import hold_out
    from netvlad.report.recall_report import summary, write_report

    if photos is None:
        photos, radius = _town(out, workers), radius or 25.0
    left_out: dict[str, str] = {}
    places = read_places(photos, False, left_out, **as_written(columns, date_order))
    held = hold_out(places)
    say(held.how)
    names = list(dict.fromkeys(model or COMPARED))
    if radius is None:
        # 25 m, as in the paper, would take in much of a small map
        radius = 25.0 if _extent(places) > 500 else 10.0
    folders = {name: out / f"{Path(name).name}-{_key(name, radius, *held.database.path)}.vpr" for name in names}

    def ranker(name: str) -> IndexRanker:
        return IndexRanker(open_or_create(folders[name], name, radius, {}), held.database, workers=workers)

    makers = {name: (lambda name=name: ranker(name)) for name in names}
    config = {"photos": str(photos), "hold_out": held.how, "models": names, "seed": 0}
    found = evaluate(makers, held.database, held.queries, Protocol(radius=radius), config)
    tell_unreadable(found.unreadable)
    write_unreadable({**left_out, **found.unreadable}, unreadable)
    recall_table(summary(found))
    page = write_report(found, out / "report")
    say(f"wrote {page}: the map, and each query beside its matches")
    say(f"ask it more: netvlad locate PHOTO --index {folders[names[-1]]}")


def _town(out: Path, workers: int | None) -> Path:
    """The table of test photos of a small town, which is built the first time."""
    from netvlad.cli.common import say
    from netvlad.town.build import build_town, is_whole
    from netvlad.town.contact_sheet import write_contact_sheet

    town = out / "town"
    if not is_whole(town, "test"):
        say(f"no photos were given: a small town is drawn into {town} (some minutes, once)")
        build_town(town, splits=["test"], workers=workers)
        say(f"look at it: {write_contact_sheet(town / 'test', town / 'sheet.jpg')}")
    return town / "test" / "places.parquet"


def _key(*parts: object) -> str:
    """A digest that keeps indexes of other photos, or of another model of the same name, apart."""
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _extent(places: Places) -> float:
    import numpy as np

    return float(np.linalg.norm(np.ptp(places.xyz, axis=0)))
