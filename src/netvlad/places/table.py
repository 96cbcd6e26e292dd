"""The table of places: one row a photo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlacesError, shortened
from netvlad.places.positions import leave_planar, resolve_positions
from netvlad.places.projection import ecef
from netvlad.places.values import floats, headings, some, texts, times
from netvlad.places.zones import zones
from netvlad.runtime.addresses import absolute
from netvlad.types import Array, BoolArray, FloatArray

if TYPE_CHECKING:
    from netvlad.places.values import Cells, Column

COLUMNS: dict[str, type[Any] | str] = {
    "path": object,
    "lat": np.float64,
    "lon": np.float64,
    "easting": np.float64,
    "northing": np.float64,
    "utm": np.int32,
    "heading": np.float32,
    "time": "datetime64[s]",
    "is_utc": np.bool_,
    "panorama": object,
    "split": object,
    "place": object,
}


@dataclass(frozen=True)
class Skipped:
    """A row, or a part of one, that a reader could not use.

    source: a table or a photo. line: of the file for a CSV, the row or feature counted from 1 for other tables, 0 for a
    photo. reason: what is wrong with it, cut in the middle to 300 characters.
    """

    source: str
    line: int
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", shortened(self.reason, 300))

    @property
    def where(self) -> str:
        """The source, and the line if there is one."""
        return f"{self.source}, line {self.line}" if self.line else self.source

    def __str__(self) -> str:
        where = self.where
        return f"{where}: {self.reason}"


@dataclass(frozen=True, eq=False, repr=False)
class Places:
    """Photos and where each was taken, as read-only columns of N rows. `Places.build` makes one.

    path (N,) object: absolute path of the photo.
    lat, lon (N,) float64: degrees on WGS 84, NaN unknown.
    easting, northing (N,) float64: metres, in the zone `utm`.
    utm (N,) int32: EPSG code of the UTM zone, such as 32636 for 36 N; 5041 and 5042 at the poles; 0 unknown.
    heading (N,) float32: degrees clockwise from north, 0 <= heading < 360, NaN unknown.
    time (N,) datetime64[s]: UTC where `is_utc`, the camera's wall clock elsewhere, NaT unknown.
    is_utc (N,) bool: True where the source states an offset from UTC, or Unix time.
    panorama, split (N,) object: the panorama a cut-out is from, the set a photo belongs to; "" none.
    place (N,) object: a label that photos of one place share; "" none.
    skipped: rows that a reader left out. notes: rows that it kept without a heading or time that cannot be read.

    A row has a position, a place label, or both; `located` says which rows have a position, and
    `netvlad.places.place_matches` which rows show the same place. The positions of a table are either all geodetic
    (lat/lon and a zone) or all planar (easting/northing in one unknown frame, no lat/lon and no zone): no distance is
    defined between the two kinds.
    """

    path: Array
    lat: Array
    lon: Array
    easting: Array
    northing: Array
    utm: Array
    heading: FloatArray
    time: Array
    is_utc: BoolArray
    panorama: Array
    split: Array
    place: Array
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        for name in COLUMNS:
            column = getattr(self, name).view()
            column.flags.writeable = False  # `xyz` is computed once
            object.__setattr__(self, name, column)

    @classmethod
    def build(
        cls,
        *,
        path: str | os.PathLike[str] | Column,
        lat: Cells = None,
        lon: Cells = None,
        easting: Cells = None,
        northing: Cells = None,
        utm: Cells = None,
        heading: Cells = None,
        time: Cells = None,
        is_utc: Cells = False,
        panorama: Cells = None,
        split: Cells = None,
        place: Cells = None,
        skipped: Iterable[Skipped] = (),
        notes: Iterable[Skipped] = (),
    ) -> Places:
        """Make a checked table from columns of equal length, or one value for all rows. None means unknown.

        utm: EPSG codes, or text such as 36N. UTM is computed from lat and lon, and lat and lon from UTM with its zone;
        if both are given, both are kept and must agree to 100 m. A position of exactly (0, 0) degrees counts as
        missing: cameras write it when they have no fix.
        time: datetime64, datetimes, text (ISO 8601, EXIF) or Unix seconds; is_utc says which clock datetime64 and text
        without an offset are on. Relative paths are relative to the working directory.
        Raises PlacesError that names the first rows: lengths that differ, neither a position nor a place label, an
        impossible position, a heading beyond 360 degrees, an unreadable time, geodetic and planar rows mixed.
        """
        paths = texts([absolute(p) for p in ([path] if isinstance(path, str | os.PathLike) else path)])
        n = len(paths)
        given = {"lat": lat, "lon": lon, "easting": easting, "northing": northing}
        numbers, wrong = dict[str, Any](), dict[int, str]()
        for name, values in given.items():
            numbers[name], bad = floats(_column(name, values, n, np.nan), what=name)
            wrong |= bad
        zone, bad = zones(_column("utm", utm, n, 0), None, numbers["lat"], numbers["northing"])
        wrong |= bad
        label = texts(_column("place", place, n, ""))
        positions, faults = resolve_positions(**numbers, utm=zone, labelled=label != "")
        leave_planar(positions, bad, faults)
        wrong = faults | wrong
        angle, bad = headings(_column("heading", heading, n, np.nan))
        wrong |= bad
        moment, stated, bad = times(_column("time", time, n, None))
        wrong |= bad
        if wrong:
            lines = [f"row {row}: {wrong[row]}" for row in sorted(wrong)]
            raise PlacesError(f"{len(wrong)} of {n} rows are no places: {some(lines)}")
        return cls(
            path=paths,
            **positions,
            heading=angle,
            time=moment,
            is_utc=(stated | np.asarray(_column("is_utc", is_utc, n, False), bool)) & ~np.isnat(moment),
            panorama=texts(_column("panorama", panorama, n, "")),
            split=texts(_column("split", split, n, "")),
            place=label,
            skipped=tuple(skipped),
            notes=tuple(notes),
        )

    @classmethod
    def concat(cls, tables: Iterable[Places]) -> Places:
        """The rows of all tables in turn. Raises PlacesError if some are geodetic and some planar."""
        tables = list(tables)
        if len({t.geodetic for t in tables if t.located.any()}) > 1:
            raise PlacesError(
                "some tables have latitude and longitude, others only easting and northing without a UTM "
                "zone: they cannot stand in one table"
            )
        columns = {}
        for name, kind in COLUMNS.items():
            columns[name] = np.concatenate([np.empty(0, kind), *(getattr(t, name) for t in tables)])
        skipped = tuple(s for t in tables for s in t.skipped)
        return cls(**columns, skipped=skipped, notes=tuple(s for t in tables for s in t.notes))

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, rows: int | np.integer[Any] | slice | Sequence[int] | Array) -> Places:
        """The rows at an index, a slice, a mask or an array of indices, without `skipped` and `notes`."""
        if isinstance(rows, int | np.integer):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of a table of {len(self)} places")
            rows = np.array([rows])
        elif not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows if rows.size else rows.astype(np.int64)  # an empty list is float64
        return Places(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def __repr__(self) -> str:
        kind = "geodetic" if self.geodetic else "planar"
        labelled = len(self) - int(self.located.sum())
        known = f"{kind}, {labelled} by label alone" if labelled else kind
        return f"Places({len(self)} photos, {known}, {len(self.skipped)} skipped)"

    @property
    def geodetic(self) -> bool:
        """True if every position has latitude and longitude; otherwise the table is planar."""
        return bool(np.isfinite(self.lat[self.located]).all())

    @cached_property
    def located(self) -> BoolArray:
        """Whether each row has a position, bool (N,); the others have a place label alone."""
        return np.asarray(np.isfinite(self.easting))

    @cached_property
    def xyz(self) -> Array:
        """Coordinates (N, 3) float64 in metres: earth-centred, or (easting, northing, 0) if planar; NaN unknown."""
        if self.geodetic:
            xyz = ecef(self.lat, self.lon)
        else:
            xyz = np.stack([self.easting, self.northing, np.where(self.located, 0.0, np.nan)], axis=-1)
        xyz.flags.writeable = False
        return xyz


def _column(name: str, values: Cells, n: int, missing: Any) -> Column:
    """`values` as a column of n rows; one value stands for every row, and None for `missing`."""
    if isinstance(values, str) or not isinstance(values, Sized) or (isinstance(values, np.ndarray) and not values.ndim):
        return [missing if values is None else values] * n
    if len(values) != n:
        raise PlacesError(f"column {name} has {len(values)} rows, path has {n}")
    return values
