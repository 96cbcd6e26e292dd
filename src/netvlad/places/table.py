"""The table of places: one row a photo."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.positions import leave_planar, resolve_positions
from netvlad.places.projection import ecef
from netvlad.places.values import floats, headings, some, texts, times
from netvlad.places.zones import zones

COLUMNS = {
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
    """What a reader could not use: `source` (a table or a photo), `line` in it, and why.

    line: of a CSV the line of the file, of other tables the row or feature counted from 1, of a photo 0.
    """

    source: str
    line: int
    reason: str

    def __str__(self) -> str:
        where = f"{self.source}, line {self.line}" if self.line else self.source
        return f"{where}: {self.reason}"


@dataclass(frozen=True, eq=False, repr=False)
class Places:
    """Photos and where each was taken, as read-only columns of N rows. Make one with `Places.build`.

    path (N,) object: absolute path of the photo.
    lat, lon (N,) float64: degrees on WGS 84, NaN unknown.
    easting, northing (N,) float64: metres, in the zone `utm`.
    utm (N,) int32: EPSG code of the UTM zone, such as 32636 for 36 N; 5041 and 5042 at the poles; 0 unknown.
    heading (N,) float32: degrees clockwise from north, 0 <= heading < 360, NaN unknown.
    time (N,) datetime64[s]: UTC where `is_utc`, else the wall clock of the camera, NaT unknown.
    is_utc (N,) bool: True where the source states an offset from UTC (or Unix time, which is UTC).
    panorama, split (N,) object: the panorama a cut-out is from, the set a photo belongs to; "" none.
    place (N,) object: a label that photos of one place share; "" none.
    skipped: rows a reader left out. notes: rows it kept without a heading or a time it could not read.

    A row has a position, a place label, or both (`located` tells which have a position; `netvlad.places.place_matches`
    defines what counts as one place). The positions of a table are either geodetic (each has lat/lon and a zone) or
    planar (each has easting/northing in one unknown frame, no lat/lon and no zone), never both: no distance is defined
    between the two kinds.
    """

    path: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    easting: np.ndarray
    northing: np.ndarray
    utm: np.ndarray
    heading: np.ndarray
    time: np.ndarray
    is_utc: np.ndarray
    panorama: np.ndarray
    split: np.ndarray
    place: np.ndarray
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        for name in COLUMNS:
            column = getattr(self, name).view()
            column.flags.writeable = False  # `xyz` is computed once and must stay true
            object.__setattr__(self, name, column)

    @classmethod
    def build(
        cls,
        *,
        path,
        lat=None,
        lon=None,
        easting=None,
        northing=None,
        utm=None,
        heading=None,
        time=None,
        is_utc=False,
        panorama=None,
        split=None,
        place=None,
        skipped: Iterable[Skipped] = (),
        notes: Iterable[Skipped] = (),
    ) -> Places:
        """A checked table from columns of equal length (or one value for all); what is left out is unknown.

        utm: EPSG codes, or text such as 36N. lat and lon give UTM, UTM with its zone gives lat and lon; with
        both, both are kept and must agree to 100 m.
        A position of exactly (0, 0) degrees counts as missing: cameras write it when they have no fix.
        time: datetime64 or datetimes or text (ISO 8601, EXIF) or Unix seconds; is_utc says which clock
        datetime64 and text without an offset are on. Relative paths are taken from the working directory.
        Errors: PlacesError, naming the first rows, for lengths that differ, a row with neither a position nor a
        place label or with an impossible position, a heading beyond 360 degrees, a time that is none, geodetic
        and planar rows mixed.
        """
        paths = [path] if isinstance(path, str | os.PathLike) else path
        paths = texts([os.path.abspath(os.fspath(p)) for p in paths])
        n = len(paths)
        given = {"lat": lat, "lon": lon, "easting": easting, "northing": northing}
        numbers, wrong = {}, {}
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
        """The rows of all tables in turn. Errors: PlacesError when some are geodetic and some planar."""
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

    def __getitem__(self, rows) -> Places:
        """The rows at a number, a slice, a mask or an array of numbers, without what a reader skipped."""
        if isinstance(rows, int | np.integer):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of a table of {len(self)} places")
            rows = [rows]
        elif not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows if rows.size else rows.astype(np.int64)
        return Places(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def __repr__(self) -> str:
        kind = "geodetic" if self.geodetic else "planar"
        labelled = len(self) - int(self.located.sum())
        known = f"{kind}, {labelled} by label alone" if labelled else kind
        return f"Places({len(self)} photos, {known}, {len(self.skipped)} skipped)"

    @property
    def geodetic(self) -> bool:
        """True when every position has latitude and longitude; otherwise the table is planar."""
        return bool(np.isfinite(self.lat[self.located]).all())

    @cached_property
    def located(self) -> np.ndarray:
        """Which rows have a position, bool (N,); the others are known by their place label alone."""
        return np.isfinite(self.easting)

    @cached_property
    def xyz(self) -> np.ndarray:
        """Metric coordinates (N, 3) float64: earth-centred if geodetic, (easting, northing, 0) if planar; NaN where a
        row has no position."""
        if self.geodetic:
            xyz = ecef(self.lat, self.lon)
        else:
            xyz = np.stack([self.easting, self.northing, np.where(self.located, 0.0, np.nan)], axis=-1)
        xyz.flags.writeable = False
        return xyz


def _column(name: str, values, n: int, missing):
    """`values` as a column of n rows: None is missing throughout, one value stands for every row."""
    values = missing if values is None else values
    if isinstance(values, str) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
        return [values] * n
    if len(values) != n:
        raise PlacesError(f"column {name} has {len(values)} rows, path has {n}: columns of one length are wanted")
    return values
