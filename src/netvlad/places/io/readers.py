"""Read places from a table, a folder of photos, or photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import numpy as np

from netvlad.errors import PlacesError
from netvlad.images.read import PHOTO_SUFFIXES
from netvlad.places.io.columns import refuse, to_places
from netvlad.places.io.dates import check_order
from netvlad.places.io.exif import Shot
from netvlad.places.io.filenames import parse_name
from netvlad.places.io.parts import Parts, parts_among, parts_below
from netvlad.places.io.roles import check_roles
from netvlad.places.io.sidecars import read_shot
from netvlad.places.io.tables import TABLE_SUFFIXES, read_table
from netvlad.places.io.tracks import Tracks, read_tracks
from netvlad.places.positions import leave_planar, resolve_positions
from netvlad.places.projection import from_utm
from netvlad.places.table import Places, Skipped
from netvlad.places.values import headings, some
from netvlad.runtime.addresses import absolute, is_address, joined, listed, size_and_time
from netvlad.runtime.counted import counted
from netvlad.types import Array

OWN_TABLES = ("places.csv", "places.parquet", "places.geojson")


def read_places(
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    date_order: str | None = None,
    gpx: Sequence[str | os.PathLike[str]] = (),
    clock_offset: str | timedelta | None = None,
    gpx_gap: float | None = None,
) -> Places:
    """Read places, one row a photo, in the order of the table or of the sorted paths.

    source: a table (.csv or .tsv with , ; or tab, .parquet, .geojson), a folder, a photo, or several photos, each of
    which may be at an address (s3://bucket/photos). A folder without photos and with Parquet files in or below it is
    one table of many files, whose relative paths are relative to that folder.
    Columns are known by their usual names (`netvlad.places.io.roles.SPELLINGS`); relative paths are relative to the
    table's folder. x and y are degrees if all values could be and no UTM zone is given, else metres. A folder stands
    for its places.csv, places.parquet or places.geojson if it holds one, else for all photos in and below it. The place
    of a photo comes from its name if that follows the convention @easting@northing@..., else from its XMP sidecar
    (photo.jpg.xmp or photo.xmp), else from its EXIF block.

    Rows without a usable position are left out and listed in `Places.skipped`; exactly (0, 0) degrees counts as no
    position. A row of a table without a position but with a label in the column place stays
    (`netvlad.places.place_matches`). A row whose heading or time cannot be read stays and is listed in `Places.notes`.
    columns: role -> the name of its column, where that is not a usual one: {"lat": "Breite", "time": "Datum"}.
    date_order: "day-first" or "month-first" for dates such as 03/12/2024; by default the column is looked at, and
    refused where it does not tell.
    gpx: tracks on which photos without a position are looked for by their time, between points at most `gpx_gap`
    minutes apart (5). clock_offset: what cameras' clocks show minus UTC, as "+01:00:00", for photos that do not say.
    With strict, either is an error. A photo that is named twice stays twice; photos are not checked to exist.
    Raises PlacesError if there is nothing to read, a needed column is missing, or no row has a position or a label.
    """
    how: dict[str, Any] = {
        "columns": columns,
        "date_order": date_order,
        "gpx": gpx,
        "clock_offset": clock_offset,
        "gpx_gap": gpx_gap,
    }
    found = open_places(source, strict=strict, **how)
    return found.whole() if isinstance(found, Parts) else found


def open_places(
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    date_order: str | None = None,
    gpx: Sequence[str | os.PathLike[str]] = (),
    clock_offset: str | timedelta | None = None,
    gpx_gap: float | None = None,
) -> Places | Parts:
    """As `read_places`, but a table of many files is not read: `Parts`, which reads it in pieces."""
    tracks = read_tracks(gpx, clock_offset, gpx_gap) if gpx else None
    columns, date_order = check_roles(columns or {}), check_order(date_order)

    def table(path: str, base: str | None = None) -> Places:
        if gpx:
            raise PlacesError("is a table, which states positions itself: GPX tracks are for photos", path=path)
        raw = read_table(path, columns)
        if base is not None and not len(raw.lines):  # writers leave empty parts
            return Places.concat([])
        return to_places(raw, strict, date_order, base)

    if not isinstance(source, str | os.PathLike):
        paths = [absolute(os.fspath(path)) for path in source]
        return _from_photos(paths, None, strict, tracks)
    path = absolute(os.fspath(source))
    if is_address(path):
        return _from_address(path, strict, table, tracks)
    if os.path.isdir(path):
        return _from_folder(path, strict, table, tracks)
    if not os.path.exists(path):
        raise PlacesError("does not exist; expected a table, a folder of photos or a photo", path=path)
    if path.lower().endswith(TABLE_SUFFIXES):
        return table(path)
    if path.lower().endswith(PHOTO_SUFFIXES):
        return _from_photos([path], path, strict, tracks)
    raise PlacesError(
        f"is neither a folder nor a table ({' '.join(TABLE_SUFFIXES)}) nor a photo ({' '.join(PHOTO_SUFFIXES)})",
        path=path,
    )


class Table(Protocol):
    """Reads a table; with a `base` one of many files, which may be empty: paths are relative to that folder."""

    def __call__(self, path: str, base: str | None = None) -> Places: ...


def _from_folder(folder: str, strict: bool, table: Table, tracks: Tracks | None) -> Places | Parts:
    own = [name for name in OWN_TABLES if os.path.isfile(os.path.join(folder, name))]
    if len(own) > 1:
        raise PlacesError(f"holds {' and '.join(own)}; give the path of one of them", path=folder)
    if own:
        return table(os.path.join(folder, own[0]))
    paths, closed = walk_photos(folder)
    if not paths and (parts := parts_below(folder)):
        return Parts(folder, parts, partial(table, base=folder))
    others = sorted(name for name in os.listdir(folder) if name.lower().endswith(TABLE_SUFFIXES))
    tables = f"no {', '.join(OWN_TABLES)}"
    tables += f" (but {some(others)}: give the path of that table)" if others else ""
    if not paths:
        shut = [f"{path}: {reason}" for path, reason in closed.items()]
        unseen = f" that may be read ({some(shut)})" if closed else ""
        raise PlacesError(f"holds no photos{unseen} and {tables}", path=folder)
    return _from_photos(paths, folder, strict, tracks, f", {tables}", closed)


def _from_address(address: str, strict: bool, table: Table, tracks: Tracks | None) -> Places | Parts:
    """As `_from_folder` and `read_places`, of what an object store has at an address."""
    if address.lower().endswith(TABLE_SUFFIXES):
        return table(address)
    if address.lower().endswith(PHOTO_SUFFIXES):
        return _from_photos([address], address, strict, tracks)
    try:
        own = [name for name in OWN_TABLES if size_and_time(joined(address, name)) is not None]
    except OSError as error:
        raise PlacesError(f"cannot be reached ({error.strerror})", path=address) from error
    if len(own) > 1:
        raise PlacesError(f"holds {' and '.join(own)}; give the address of one of them", path=address)
    if own:
        return table(joined(address, own[0]))
    tables = f"no {', '.join(OWN_TABLES)}"
    paths, closed = walk_photos(address)
    for reason in closed.values():
        raise PlacesError(reason, path=address)
    if not paths and (parts := parts_among(listed(address), address)):
        return Parts(address, parts, partial(table, base=address))
    if not paths:
        raise PlacesError(f"holds no photos and {tables}, or is not there", path=address)
    return _from_photos(paths, address, strict, tracks, f", {tables}")


def photos_below(folder: str | os.PathLike[str]) -> list[str]:
    """The photos of `walk_photos`. Raises PlacesError where a folder cannot be read."""
    paths, closed = walk_photos(folder)
    for path, reason in closed.items():
        raise PlacesError(reason, path=path)
    return paths


def walk_photos(folder: str | os.PathLike[str]) -> tuple[list[str], dict[str, str]]:
    """Sorted paths of the files in and below a folder that have the suffix of a photo; hidden ones are left out.

    Returns also the folders that cannot be read, each with the reason.
    """
    paths: list[str] = []
    closed: dict[str, str] = {}
    if isinstance(folder, str) and is_address(folder):
        try:
            return [path for path in listed(folder) if _is_photo(path, folder)], {}
        except OSError as error:
            return [], {folder: f"the folder cannot be read ({error.strerror})"}

    def told(error: OSError) -> None:
        closed[os.fspath(error.filename)] = f"the folder cannot be read ({error.strerror})"

    for here, folders, names in os.walk(os.fspath(folder), onerror=told):
        folders[:] = [name for name in folders if not name.startswith(".")]
        photos = (name for name in names if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith("."))
        paths += [os.path.join(here, name) for name in photos]
    return sorted(paths), closed


def names_folder(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a folder; at an address, whatever has not the name of a table or a photo is taken for one."""
    if isinstance(source, str) and is_address(source):
        return not source.lower().endswith((*PHOTO_SUFFIXES, *TABLE_SUFFIXES))
    return os.path.isdir(source)


def _is_photo(path: str, folder: str) -> bool:
    """Whether a file below a folder has the suffix of a photo, and is not hidden."""
    below = path[len(folder) :].split("/")
    return path.lower().endswith(PHOTO_SUFFIXES) and not any(name.startswith(".") for name in below)


def _from_photos(
    paths: Sequence[str],
    source: str | None,
    strict: bool,
    tracks: Tracks | None = None,
    tables: str = "",
    closed: Mapping[str, str] | None = None,
) -> Places:
    """Places from the names of photos, else from sidecars and EXIF blocks, of which many are read at a time."""
    if not paths:
        raise PlacesError("the list of photos is empty")
    by_name = [parse_name(path) for path in paths]
    rest = [path for path, shot in zip(paths, by_name, strict=True) if shot is None]
    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as pool:
        by_exif = pool.map(read_shot, rest)
        shots: list[Shot] = [shot or next(by_exif) for shot in by_name]
    if tracks:
        shots = [tracks.placed(shot) for shot in shots]

    numbers = {name: np.array([getattr(s, name) for s in shots]) for name in ("lat", "lon", "easting", "northing")}
    positions, faults = resolve_positions(**numbers, utm=np.array([s.utm for s in shots], np.int32))
    faults = {row: shots[row].trouble or reason for row, reason in faults.items()}
    leave_planar(positions, {}, faults)
    _prefer_utm(positions, [i for i in range(len(paths)) if shots[i].utm and i not in faults])
    angle, bad = headings([s.heading for s in shots])
    skipped = [Skipped(paths[row], 0, faults[row]) for row in sorted(faults)]
    skipped += [Skipped(path, 0, reason) for path, reason in (closed or {}).items()]
    doubts = bad | {row: shot.doubt for row, shot in enumerate(shots) if shot.doubt}
    notes = [Skipped(paths[row], 0, reason) for row, reason in sorted(doubts.items()) if row not in faults]
    if len(faults) == len(paths):
        raise PlacesError(_nothing(len(paths) - len(rest), skipped, tables), path=source)
    refuse(source, skipped, notes, len(paths), strict)

    keep = [row for row in range(len(paths)) if row not in faults]
    return Places.build(
        path=[paths[row] for row in keep],
        **{name: column[keep] for name, column in positions.items()},
        heading=angle[keep],
        time=[shots[row].time for row in keep],
        is_utc=[shots[row].is_utc for row in keep],
        panorama=[shots[row].panorama for row in keep],
        skipped=skipped,
        notes=notes,
    )


def _prefer_utm(positions: dict[str, Array], rows: list[int]) -> None:
    """Replace degrees by those of UTM: names give UTM to the centimetre and round degrees to a metre."""
    metres = (positions[name][rows] for name in ("easting", "northing", "utm"))
    positions["lat"][rows], positions["lon"][rows] = from_utm(*metres)


def _nothing(named: int, skipped: Sequence[Skipped], tables: str) -> str:
    """The message for photos without any usable position."""
    reasons = [s.reason for s in skipped]
    counts = [f"{reasons.count(reason)} x {reason}" for reason in dict.fromkeys(reasons)]
    photos = counted(len(skipped), "photo")
    return (
        f"{photos} and no usable position: {named} names of the form @easting@northing@, "
        f"{some(counts)}{tables}. A table with path, lat and lon can state where they were taken"
    )
