"""netvlad index: describe photos with known positions into an index."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.options import (
    Clusters,
    Columns,
    DateOrder,
    Device,
    Model,
    NumGpus,
    Radius,
    Ray,
    RayWorkers,
    Resize,
    Stage,
    Strict,
    TrustCode,
    Unreadable,
    Workers,
)
from netvlad.cli.outputs import out_index
from netvlad.cli.unplaced import read_all_photos
from netvlad.runtime.counted import counted

if TYPE_CHECKING:
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.sync import Synced
    from netvlad.places import Places
    from netvlad.places.io.parts import Parts
    from netvlad.search.options import SearchOptions

EXAMPLE = "Example: netvlad index photos/ --out campus.vpr"


def run(
    photos: Annotated[
        str,
        typer.Argument(help="A folder of geotagged photos, or a table (CSV, Parquet, GeoJSON); or s3://BUCKET/...."),
    ],
    out: Annotated[
        str, typer.Option(help="Folder or address of the index; one that is there follows.", callback=out_index)
    ],
    model: Model = None,
    radius: Radius = None,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that paths are kept relative to; where the photos of a moved map are.")
    ] = None,
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Leave photos in the index that are gone from the folder or table.")
    ] = False,
    unplaced: Annotated[
        bool, typer.Option("--unplaced", help="Index photos of a folder whose place is not known as well.")
    ] = False,
    search: Annotated[
        str | None, typer.Option(help="auto (default), exact or compressed: in a thirteenth of the memory.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(help="Share of the nearest photos that compressed search is to find (0.95).")
    ] = None,
    memory: Annotated[str | None, typer.Option(help="Memory that the search may take, as 2GB.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    gpx: Annotated[
        list[Path] | None, typer.Option(help="A GPX track to look photos without a position up on; may be given again.")
    ] = None,
    clock_offset: Annotated[
        str | None, typer.Option(help="The camera's clock minus UTC, where photos do not say: +01:00:00.")
    ] = None,
    gpx_gap: Annotated[
        float | None, typer.Option(help="Minutes between two points of a track that a photo may lie between (5).")
    ] = None,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    workers: Workers = None,
    ray: Ray = None,
    num_gpus: NumGpus = 0,
    ray_workers: RayWorkers = None,
    trust_code: TrustCode = False,
    unreadable: Unreadable = None,
    device: Device = None,
) -> None:
    """Describe photos whose places are known, and keep them in an index.

    On an index that is there: tell which photos of this folder or table are new, have moved, have another position,
    heading or time, or are gone, and make the index agree. What was described is never described again, so an
    interrupted run goes on where it stopped.
    """
    from netvlad.cli.common import as_written, say, write_unreadable
    from netvlad.cluster.describing import cluster_given, describe_on, workers_told
    from netvlad.describe.names import outgrown
    from netvlad.errors import PlaceIndexError
    from netvlad.experiments.run import model_options
    from netvlad.maps.remote import fetch
    from netvlad.maps.search_told import search_told
    from netvlad.places.io.parts import Parts
    from netvlad.runtime.addresses import path_or_address

    left_out: dict[str, str] = {}
    if gpx is None and (clock_offset or gpx_gap):
        raise PlaceIndexError("--clock-offset and --gpx-gap say how to read a track: give --gpx too")
    cluster = cluster_given(ray, num_gpus, ray_workers, trust_code)
    source, folder = path_or_address(photos), fetch(path_or_address(out))
    reading = as_written(columns, date_order) | {"gpx": gpx or [], "clock_offset": clock_offset, "gpx_gap": gpx_gap}
    places: Places | Parts
    if unplaced:
        places = read_all_photos(Path(photos), left_out, **reading)
    else:
        places = open_photos(source, strict, left_out, **reading)
    if dry_run and not (folder / "manifest.json").exists():
        count = sum(map(len, places)) if isinstance(places, Parts) else len(places)
        say(f"{out}: is not there; {counted(count, 'photo')} would be described for it")
        return
    describing = None if cluster is None else partial(describe_on, cluster, workers=workers)
    if cluster is not None and not dry_run:
        say(f"describes with {workers_told(cluster)}")  # which may not answer: before a model is read
    start = time.perf_counter()
    wanted = wanted_search(folder, search, recall, memory)
    options = model_options(clusters, stage, resize)
    within = None if isinstance(places, Parts) else source  # a table in parts is seldom beside its photos
    index = open_or_create(path_or_address(out), model, radius, options, trust_code, within, root)
    index.search = wanted
    tally = Tally(out, keep_missing)
    how: dict[str, Any] = {
        "keep_missing": keep_missing,
        "dry_run": dry_run,
        "workers": workers,
        "describing": describing,
    }
    if isinstance(places, Parts):
        index.sync_parts(places, told=tally.tell, **how)
    else:
        tally.tell(index.sync(places, source=source, **how))
    write_unreadable(left_out | tally.unreadable, unreadable)
    if dry_run:
        say(f"{out}: {counted(tally.new, 'photo')} would be added, {tally.known} in it; nothing was changed")
        return
    say(
        f"{out}: {counted(tally.new, 'photo')} added, {tally.known} were in it already, {len(index)} in all "
        f"({index.model.name}, {index.model.dim}-D, {time.perf_counter() - start:.1f} s)"
    )
    if wanted is not None and len(index):
        told = search_told(folder, index.store.dim)
        worth = f"finds {100 * told['recall']:.1f} % of the 10 nearest photos, {told['bytes_a_photo']} bytes each"
        say(f"{out}: {told['kind']} search; {worth} in memory")
    if not len(index):
        count = len(tally.unreadable if isinstance(places, Parts) else places)
        raise PlaceIndexError(f"is empty: none of {counted(count, 'photo')} could be read", path=out)
    if fitted := outgrown(index.model, len(index)):
        say(
            f"its model was fitted to {counted(fitted, 'photo')}: index all {len(index)} into another folder to find "
            "more of them"
        )
    if index.calibration is None:
        say(f"answers will carry no confidence: {index.uncalibrated}")


class Tally:
    """What was done to the index at `out`, told and counted. unreadable: path -> reason."""

    def __init__(self, out: str, keep_missing: bool) -> None:
        self.out, self.keep_missing = out, keep_missing
        self.new = self.known = 0
        self.unreadable: dict[str, str] = {}

    def tell(self, found: Synced) -> None:
        """List what differed, and count the rest."""
        from netvlad.cli.common import tell_unreadable

        tell_changes(self.out, found, self.keep_missing)
        tell_unreadable(found.unreadable)
        self.new += len(found.new)
        self.known += found.known
        self.unreadable |= found.unreadable


def open_photos(source: Path | str, strict: bool, left_out: dict[str, str], **how: Any) -> Places | Parts:
    """As `netvlad.cli.common.read_places`, but a table in parts is read later, of which is told then."""
    from netvlad.cli.common import checked, say, tell_left_out
    from netvlad.places.io.parts import Parts
    from netvlad.places.io.readers import open_places

    places = open_places(source, strict=strict, **how)
    if isinstance(places, Parts):
        files = places.files

        def noted(file: str, found: Places) -> None:
            tell_left_out(file, found, left_out)
            say(f"{file}: {counted(len(found), 'photo')}, file {files.index(file) + 1} of {len(files)}")

        return replace(places, noted=noted)
    return checked(source, places, left_out)


def wanted_search(out: Path, kind: str | None, recall: float | None, memory: str | None) -> SearchOptions | None:
    """What the search of the index at `out` is to be from now on: what was recorded, but for what is given; or None.

    Raises NetvladError for values that make no sense.
    """
    from netvlad.maps.manifest import read_manifest
    from netvlad.search.options import SearchOptions, parse_memory

    given = {"kind": kind, "recall": recall, "memory": None if memory is None else parse_memory(memory)}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return None
    return replace(read_manifest(out).search if (out / "manifest.json").exists() else SearchOptions(), **changes)


def tell_changes(out: Path | str, found: Synced, keep_missing: bool) -> None:
    """List what differs between the index and the photos, but for new ones."""
    from netvlad.cli.common import tell

    moved = [f"{before} -> {now}" for before, now in found.moved]
    copies = [f"{path}: as {other}" for path, other in found.duplicates.items()]
    gone = "gone, and kept in the index" if keep_missing else "gone, and removed from the index"
    for what, lines in (
        ("have moved or another name", moved),
        ("had changed; their new rows replace the old ones", found.replaced),
        ("have another position", found.repositioned),
        ("have another heading", found.reheaded),
        ("have another time", found.retimed),
        ("have another label, panorama or split", found.relabelled),
        (f"are {gone}", found.vanished),
        ("have the content of another and are left out", copies),
    ):
        one = what.replace("have ", "has ", 1).replace("are ", "is ", 1)
        tell(f"{out}: {counted(len(lines), f'photo {one}', f'photos {what}')}", lines)


def open_or_create(
    out: Path | str,
    model: str | None,
    radius: float | None,
    given: dict[str, Any],
    trust_code: bool = False,
    photos: Path | str | None = None,
    root: Path | None = None,
) -> PlaceIndex:
    """The index at `out`; refused where it was built with another model or settings than those asked for.

    photos: the folder or table that it is made of. root: the folder to keep paths relative to.
    """
    from netvlad.describe.names import DEFAULT
    from netvlad.errors import PlaceIndexError
    from netvlad.maps.index import RADIUS, PlaceIndex
    from netvlad.maps.opening import moved_root
    from netvlad.maps.remote import fetch
    from netvlad.places.io.readers import names_folder
    from netvlad.pretrained.zoo import is_saved, load
    from netvlad.runtime.artifacts import read_card

    folder = fetch(out)
    if not (folder / "manifest.json").exists():
        describer = load(model or DEFAULT, **given, trust_code=trust_code)
        within = root or (photos if photos is not None and names_folder(photos) else None)
        return PlaceIndex.create(out, describer, radius=RADIUS if radius is None else radius, root=within)
    now = root or (moved_root(folder, photos) if photos is not None else None)
    wanted: dict[str, Any] = {} if radius is None else {"radius": radius}
    if model is not None and (is_saved(model) or Path(model).is_dir()):
        index = PlaceIndex.open(out, load(model, trust_code=trust_code), root=now)  # refused by its identity
    else:
        index = PlaceIndex.open(out, root=now, trust_code=trust_code)
        wanted = {**({"model": model} if model else {}), **given, **wanted}
    has = {
        "model": index.model.name,
        "radius": index.radius,
        **read_card(folder / "model", error=PlaceIndexError)["architecture"],
    }
    differs = [f"{k} {has.get(k)}, not {v}" for k, v in wanted.items() if has.get(k) != v]
    if differs:
        found = "; ".join(differs)
        raise PlaceIndexError(f"was built with {found}: choose another folder, or leave these out", path=out)
    return index
