"""`Places` from the columns of a table, known by their usual names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.angles import angles
from netvlad.places.io.dates import year_first
from netvlad.places.io.roles import roles
from netvlad.places.positions import leave_planar, resolve_positions
from netvlad.places.table import Places, Skipped
from netvlad.places.values import floats, headings, is_empty, shown, some, texts, times
from netvlad.places.zones import zones
from netvlad.runtime.addresses import absolute, joined
from netvlad.types import Array

if TYPE_CHECKING:
    from netvlad.places.values import Column

_LONGEST_PATH = 32_767  # of Windows; other systems allow less
_CLOCK = re.compile(r"\d\d?:\d\d(:\d\d(\.\d+)?)?")


@dataclass
class Raw:
    """A table as it was read.

    source: its path. columns: name -> cells of any kind. lines: the line of each row. broken: rows with too many or too
    few cells. unplaced: row -> why its geometry is unusable. utc: columns whose times the format states as UTC.
    decimal_comma: whether 31,26 is a number. unread: names of the columns that were left in the file. given: role ->
    column, where the names are not the usual ones.
    """

    source: str
    columns: dict[str, Column]
    lines: Sequence[int]
    broken: list[Skipped] = field(default_factory=list)
    unplaced: dict[int, str] = field(default_factory=dict)
    utc: set[str] = field(default_factory=set)
    decimal_comma: bool = False
    unread: Sequence[str] = ()
    given: Mapping[str, str] = field(default_factory=dict)


def to_places(raw: Raw, strict: bool, date_order: str | None = None, base: str | None = None) -> Places:
    """The rows of `raw` with a photo and a usable position, or a place label and no position; others go to `skipped`.

    base: the folder that relative paths are relative to; by default that of the table. date_order: as in `year_first`.
    Raises PlacesError if a needed column is missing, if no row is left, if dates may mean two days and, if strict, if
    anything cannot be read.
    """
    named = roles(list(raw.columns), raw.source, raw.given)
    n = len(raw.lines)
    compound: dict[int, str] = {}
    cells = {role: _single(raw.columns[name], name, compound) for role, name in named.items()}
    _place_x_y(cells, raw)
    _require(cells, raw)

    numbers, unread = {}, raw.unplaced
    for name in ("lat", "lon", "easting", "northing"):
        column = cells.get(name, [None] * n)
        if name in ("lat", "lon"):
            numbers[name], bad = angles(column, cells.get(f"{name}_ref"), name)
        else:
            numbers[name], bad = floats(column, raw.decimal_comma, name)
        unread = bad | unread
    if "utm" in cells:
        utm, bad_zone = zones(cells["utm"], cells.get("letter"), numbers["lat"], numbers["northing"])
    else:
        utm, bad_zone = np.zeros(n, np.int32), {}
    label = texts(cells.get("place", [""] * n))
    positions, faults = resolve_positions(**numbers, utm=utm, labelled=label != "")
    faults = {row: unread.get(row, reason) for row, reason in faults.items()}
    # a label makes up for a position that is missing, not for one that is wrong
    faults |= {row: reason for row, reason in unread.items() if np.isnan(positions["easting"][row])}
    leave_planar(positions, bad_zone, faults)
    faults |= compound
    paths = texts(cells["path"])
    for row, path in enumerate(paths):
        if reason := _no_path(path):
            faults.setdefault(row, reason)

    angle, bad_heading = headings(cells.get("heading", [None] * n), raw.decimal_comma)
    moment, is_utc, bad_time = times(year_first(_clocks(cells, n), date_order, raw.source, raw.lines))
    doubts = [(row, reason) for row, reason in (*bad_heading.items(), *bad_time.items()) if row not in faults]
    skipped = [
        *raw.broken,
        *(Skipped(raw.source, int(raw.lines[row]), faults[row]) for row in sorted(faults)),
    ]
    notes = [Skipped(raw.source, int(raw.lines[row]), reason) for row, reason in sorted(doubts)]
    refuse(raw.source, skipped, notes, n + len(raw.broken), strict)

    keep = np.ones(n, bool)
    keep[list(faults)] = False
    base = os.path.dirname(absolute(raw.source)) if base is None else base
    return Places.build(
        path=[joined(base, path) for path in paths[keep]],
        **{name: column[keep] for name, column in positions.items()},
        heading=angle[keep],
        time=moment[keep],
        is_utc=is_utc[keep] | (named.get("time") in raw.utc),
        panorama=_panoramas(cells.get("panorama", [""] * n))[keep],
        split=texts(cells.get("split", [""] * n))[keep],
        place=label[keep],
        skipped=skipped,
        notes=notes,
    )


def refuse(source: str | None, skipped: Sequence[Skipped], notes: Sequence[Skipped], rows: int, strict: bool) -> None:
    """Raise PlacesError if nothing is left of `rows` rows of `source` or, if strict, anything could not be read."""
    if not rows:
        raise PlacesError("holds no rows; expected one row per photo, with its path and position", path=source)
    wrong = sorted([*skipped, *notes] if strict else skipped, key=lambda s: s.line)
    if wrong and (strict or len(skipped) == rows):
        lines = [f"line {s.line}: {s.reason}" if s.line else f"{s.source}: {s.reason}" for s in wrong]
        count = len({(s.source, s.line) for s in wrong})
        raise PlacesError(f"{count} of {rows} photos cannot be used: {some(lines)}", path=source)


def _place_x_y(cells: dict[str, Column], raw: Raw) -> None:
    """Take x and y, without clearer columns, for degrees if all values could be, else for metres."""
    clear = {"lat", "lon"} <= cells.keys() or {"easting", "northing"} <= cells.keys()
    if clear or not {"x", "y"} <= cells.keys():
        return
    x, y = (floats(cells[name], raw.decimal_comma)[0] for name in "xy")
    degrees = not (np.abs(x) > 180).any() and not (np.abs(y) > 90).any() and "utm" not in cells
    cells.update({"lon": cells["x"], "lat": cells["y"]} if degrees else {"easting": cells["x"], "northing": cells["y"]})


def _require(cells: dict[str, Column], raw: Raw) -> None:
    missing: list[str] = []
    if "path" not in cells:
        missing.append("the photo (path, file, image or filename)")
    positions = {"lat", "lon"} <= cells.keys() or {"easting", "northing"} <= cells.keys()
    if not positions and "place" not in cells:
        missing.append(
            "the position (lat and lon in degrees, or easting and northing in metres with utm_zone) or a label of "
            "the place (place)"
        )
    if missing:
        found = some([*raw.columns, *raw.unread], 20, ", ") or "none"
        raise PlacesError(f"has no columns for {' and '.join(missing)}; its columns are: {found}", path=raw.source)


def _single(column: Column, name: str, compound: dict[int, str]) -> Column:
    """The column with None in place of lists and objects, whose rows are added to `compound` with a reason."""
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column
    rows = [row for row, cell in enumerate(column) if isinstance(cell, list | tuple | dict | bytes)]
    if not rows:
        return column
    compound |= {row: f"{name} is {shown(column[row])}, not one value" for row in rows}
    single = list(column)
    for row in rows:
        single[row] = None
    return single


def _no_path(text: str) -> str:
    """Why a text is no path of a photo; "" where it is one."""
    if not text:
        return "no path of a photo"
    if len(text) > _LONGEST_PATH:
        return f"a path of {len(text)} characters"
    if "\0" in text:
        return f"path {shown(text)} has a NUL character"
    try:
        if not text.isascii():
            os.fsencode(text)
    except UnicodeEncodeError:
        return f"path {shown(text)} is no text"
    return ""


def _clocks(cells: dict[str, Column], n: int) -> Column:
    """The time column, joined with the date column where time and date are apart."""
    time = cells.get("time", [None] * n)
    date = cells.get("date", time)
    if date is time or isinstance(time, np.ndarray):
        return time
    pairs = zip(time, date, strict=True)
    return [f"{str(d).strip()} {t.strip()}" if _is_clock(t) and not is_empty(d) else t for t, d in pairs]


def _is_clock(cell: Any) -> bool:
    return isinstance(cell, str) and _CLOCK.match(cell.strip()) is not None


def _panoramas(column: Column) -> Array:
    """Names of panoramas; a column of true and false tells whether a photo is one, and gives no names."""
    names = texts(column)
    if not {name.lower() for name in set(names)} - {"", "true", "false"}:
        names[:] = ""
    return names
