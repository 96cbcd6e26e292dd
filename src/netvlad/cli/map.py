"""netvlad map: maps of any town, from street imagery that may be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.options import Device, Model, TrustCode, Workers
from netvlad.cli.outputs import out_folder
from netvlad.cli.region import After, Before
from netvlad.runtime.counted import counted

if TYPE_CHECKING:
    from netvlad.imagery.area import Area
    from netvlad.imagery.building import Request
    from netvlad.imagery.fetching import Fetched, Found
    from netvlad.imagery.reader import Reader

app = typer.Typer(
    help="Maps of any town, from open street imagery. No photo of yours leaves this machine.", no_args_is_help=True
)
FETCH = "Example: netvlad map fetch --around 48.8566,2.3522,500m --out photos/"
BUILD = "Example: netvlad map build --around 48.8566,2.3522,500m --out town.vpr"
UPDATE = "Example: netvlad map update town.vpr"

Around = Annotated[
    str | None, typer.Option(metavar="LAT,LON,RADIUS", help="Pictures near a point, as 48.8566,2.3522,500m.")
]
Bbox = Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Pictures in a box of degrees.")]
PlaceFile = Annotated[
    Path | None, typer.Option(metavar="FILE.geojson", help="Pictures within the polygons of a GeoJSON file.")
]
RouteFile = Annotated[Path | None, typer.Option("--route", metavar="FILE.gpx", help="Pictures along a GPX track.")]
Width = Annotated[float, typer.Option(help="Metres to either side of the route.")]
From = Annotated[str, typer.Option("--from", help="The source: panoramax, mapillary, kartaview or commons.")]
Url = Annotated[str | None, typer.Option(help="Another instance of the source, as https://panoramax.ign.fr.")]
Quality = Annotated[str, typer.Option(help="sd: 2048 pixels wide; hd: as they were taken, ten times the bytes.")]
Thin = Annotated[
    float, typer.Option(help="Metres within which one picture of those that show the same is taken; 0: all.", min=0)
]
Shared = Annotated[
    Path | None,
    typer.Option(
        "--cache", envvar="NETVLAD_IMAGERY_CACHE", help="A folder of files that several maps share; none by default."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Fetch without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell how many there are, whose, and how large.")]


@app.command(epilog=FETCH)
def fetch(
    out: Annotated[Path, typer.Option(help="Folder for pictures/, places.csv and CREDITS.", callback=out_folder)],
    around: Around = None,
    bbox: Bbox = None,
    place_file: PlaceFile = None,
    route: RouteFile = None,
    width: Width = 25.0,
    after: After = None,
    before: Before = None,
    source: From = "panoramax",
    url: Url = None,
    quality: Quality = "sd",
    thin: Thin = 3.0,
    cache: Shared = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Fetch street pictures of an area, with a table of their places and the credit that each needs.

    The same command goes on after an interruption, and later fetches what is new and takes out what was withdrawn.
    """
    from netvlad.imagery.area import Area
    from netvlad.imagery.shapes import parse_shape, shape_text
    from netvlad.imagery.sources import open_source
    from netvlad.maps.asked import parse_where

    shape = parse_shape(shape_text(place_file, route), width)
    area = Area(parse_where(around, bbox, after, before), shape)
    reader = open_source(source, url, asset=quality)
    with reader.web:
        got = ask_and_fetch(reader, area, out, thin, cache, yes, dry_run)
    if got is not None:
        tell_fetched(got, out)


@app.command(epilog=BUILD)
def build(
    out: Annotated[Path, typer.Option(help="Folder of the index.", callback=out_folder)],
    around: Around = None,
    bbox: Bbox = None,
    place_file: PlaceFile = None,
    route: RouteFile = None,
    width: Width = 25.0,
    after: After = None,
    before: Before = None,
    source: From = "panoramax",
    url: Url = None,
    quality: Quality = "sd",
    thin: Thin = 3.0,
    layout: Annotated[str, typer.Option(help="The views that panoramas are cut into: pittsburgh or tokyo.")] = (
        "pittsburgh"
    ),
    photos: Annotated[
        Path | None, typer.Option(help="Folder of the pictures (beside the index, as town-pictures/).")
    ] = None,
    model: Model = None,
    workers: Workers = None,
    trust_code: TrustCode = False,
    cache: Shared = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    device: Device = None,
) -> None:
    """Build an index of an area from street pictures: fetch them, cut panoramas into views, describe.

    The same command goes on after an interruption. `netvlad locate` then tells where a photo was taken, with the credit
    of the pictures that it matches; your photo stays on this machine.
    """
    import os

    from netvlad.imagery.building import Request
    from netvlad.imagery.shapes import shape_text
    from netvlad.panoramas.cut_outs import find_layout

    find_layout(layout)
    folder = photos or out.with_name(f"{out.stem}-pictures")
    area = (around or "", bbox or "", after or "", before or "")
    below = os.path.relpath(folder, out)
    where = (below.replace(os.sep, "/"), shape_text(place_file, route), width)
    request = Request(source, url or "", *area, quality, thin, layout, *where)
    _make(out, request, model, workers, trust_code, cache, yes, dry_run)


@app.command(epilog=UPDATE)
def update(
    index: Annotated[Path, typer.Argument(help="An index made by `netvlad map build`.")],
    workers: Workers = None,
    trust_code: TrustCode = False,
    cache: Shared = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    device: Device = None,
) -> None:
    """Bring an index up to date: fetch pictures that are new, and take out those that were withdrawn."""
    from netvlad.imagery.building import read_request

    _make(index, read_request(index), None, workers, trust_code, cache, yes, dry_run)


def _make(
    out: Path,
    request: Request,
    model: str | None,
    workers: int | None,
    trust_code: bool,
    cache: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    from netvlad.cli.common import say, tell, tell_unreadable
    from netvlad.cli.index import open_or_create, tell_changes
    from netvlad.imagery.building import check_request, index_views, picture_folder, views_of, write_request
    from netvlad.imagery.sources import open_source

    folder = picture_folder(out, request)
    area = request.area()
    reader = open_source(request.source, request.url or None, asset=request.quality)
    with reader.web:
        check_request(out, request)
        got = ask_and_fetch(reader, area, folder, request.thin, cache, yes, dry_run)
    if got is None:
        return
    write_request(out, request)
    tell_fetched(got, folder)
    views = views_of(folder, got.pictures, request.layout, workers=workers)
    tell(f"{counted(len(views.skipped), 'picture was', 'pictures were')} left out", [str(s) for s in views.skipped])
    index = open_or_create(out, model, None, {}, trust_code, folder, folder)
    found = index_views(index, folder, got.pictures, views, workers=workers)
    tell_changes(out, found, keep_missing=False)
    tell_unreadable(found.unreadable)
    say(f"{out}: {counted(len(found.new), 'view')} added, {len(found.vanished)} taken out, {len(index)} in all")


def ask_and_fetch(
    reader: Reader, area: Area, folder: Path, thin: float, cache: Path | None, yes: bool, dry_run: bool
) -> Fetched | None:
    """Search, tell what there is, ask, and fetch; None for a dry run. Raises NetvladError where nothing is there."""
    from netvlad.cli.common import say
    from netvlad.errors import NetvladError
    from netvlad.imagery.cache import Cache
    from netvlad.imagery.fetching import fetch
    from netvlad.imagery.fetching import find as search

    say(f"asking {reader.web.service}")
    found = search(reader, area, folder, metres=thin)
    tell_found(found)
    if not found.pictures and not found.withdrawn:
        raise NetvladError("has no pictures there that may be used", path=reader.web.service)
    if dry_run:
        return None
    if found.new and not yes:
        typer.confirm("Fetch them?", abort=True, err=True)
    return fetch(reader, found, folder, cache=None if cache is None else Cache(cache, reader.asset))


def tell_found(found: Found) -> None:
    """Say how many pictures there are, of whom, under which licence, and how large the new ones are."""
    from collections import Counter

    from netvlad.cli.common import say, tell
    from netvlad.imagery.fetched import licences

    whole = sum(picture.whole for picture in found.pictures)
    say(f"{counted(len(found.pictures), 'picture')}, {whole} of them panoramas, {found.thinned} alike left out")
    tell("licences", [f"{licence}: {counted(n, 'picture')}" for licence, n in licences(found.pictures).items()])
    if len(licences(found.pictures)) > 1:
        say("several licences: what is made of all these pictures has to keep each of them")
    people = Counter(picture.credit or "nobody named" for picture in found.pictures).most_common()
    tell("by", [f"{name}: {counted(number, 'picture')}" for name, number in people], most=10)
    tell("left out", [f"{counted(number, 'picture')}: {reason}" for reason, number in found.left_out.items()])
    tell(f"withdrawn, and taken out: {len(found.withdrawn)}", [picture.link for picture in found.withdrawn])
    say(f"{counted(len(found.new), 'picture')} to fetch, about {found.size / 1e6:,.1f} MB")


def tell_fetched(got: Fetched, folder: Path) -> None:
    """Say what was fetched, and what failed."""
    from netvlad.cli.common import say, tell

    failed = [f"{name}: {reason}" for name, reason in got.failed.items()]
    tell(f"{counted(len(failed), 'picture')} could not be fetched; the same command tries again", failed)
    say(f"{folder / 'places.csv'}: {got.new} fetched, {len(got.pictures)} in all; {folder / 'CREDITS'} says by whom")
