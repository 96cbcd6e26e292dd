"""Read a table file into named columns; `netvlad.places.io.columns` interprets them."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.columns import Raw, roles
from netvlad.places.table import Skipped
from netvlad.places.values import floats
from netvlad.types import Array

if TYPE_CHECKING:
    from netvlad.places.values import Column

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".geoparquet", ".geojson", ".json")
_PLAIN = np.dtype([("head", "S5"), ("x", "<f8"), ("y", "<f8")])  # a little-endian WKB point


def read_table(path: str) -> Raw:
    """The columns of a .csv, .tsv, .parquet or .geojson file. Raises PlacesError if it cannot be read as such."""
    if path.lower().endswith((".csv", ".tsv")):
        return _read_csv(path)
    if path.lower().endswith("parquet"):
        return _read_parquet(path)
    return _read_geojson(path)


def _read_csv(path: str) -> Raw:
    rows, lines, broken = [], [], []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            # the heading has no numbers, so its commas are not decimal ones
            delimiter = max(",;\t", key=head.count)
            file.seek(0)
            spaced = f"{delimiter} " in head  # "path, lat, lon": blanks belong to the delimiter
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=spaced)
            names = next(reader, [])
            line = reader.line_num + 1
            for row in reader:
                if len(row) > len(names) and not any(row[len(names) :]):
                    row = row[: len(names)]
                if len(row) == len(names):
                    rows.append(row)
                    lines.append(line)
                elif row:  # cut off, or an unquoted delimiter: cells have moved
                    broken.append(Skipped(path, line, f"{len(row)} cells where the heading has {len(names)}"))
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise PlacesError(
            f"is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8", path=path
        ) from None
    except csv.Error as error:
        raise PlacesError(f"{path}, line {reader.line_num}: {error}") from None
    roles(names, path)
    cells: list[Column] = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    columns = dict(zip(names, cells, strict=True))
    return Raw(path, columns, lines, broken, decimal_comma=delimiter != ",")


def _read_parquet(path: str) -> Raw:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()  # read_table would add folders as columns
    except (pa.ArrowException, OSError) as error:
        raise PlacesError(f"cannot be read as Parquet: {error}", path=path) from None
    roles(table.column_names, path)
    geo = _geo(table.schema.metadata or {}, path)
    raw = Raw(path, {}, range(1, len(table) + 1))
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in geo.get("columns", {}):
            continue
        kind = column.type
        if pa.types.is_timestamp(kind):
            raw.columns[name] = column.to_numpy().astype("datetime64[s]")
            raw.utc |= {name} if kind.tz else set()
        elif pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not column.null_count):
            raw.columns[name] = column.to_numpy()
        else:
            raw.columns[name] = column.to_pylist()
    if geo:
        name = geo.get("primary_column", "geometry")
        about = geo["columns"].get(name, {})
        if about.get("encoding") != "WKB" or name not in table.column_names:
            reason = f"geometry column {name!r} is encoded as {about.get('encoding')}; WKB is read"
            raise PlacesError(reason, path=path)
        points = _points(table.column(name).to_pylist(), raw)
        _add_points(raw, points, about.get("crs", "OGC:CRS84"))
    return raw


def _geo(metadata: dict[bytes, bytes], path: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(metadata[b"geo"])) if b"geo" in metadata else {}
    except ValueError as error:
        raise PlacesError(f"its GeoParquet metadata are no JSON: {error}", path=path) from None


def _points(cells: Sequence[bytes | None], raw: Raw) -> Array:
    """(N, 2) x, y of WKB points, NaN where there is none."""
    plain = [cell for cell in cells if cell is not None and len(cell) == _PLAIN.itemsize]
    if plain and len(plain) == len(cells):
        points = np.frombuffer(b"".join(plain), _PLAIN)
        if (points["head"] == b"\1\1").all():  # numpy drops the trailing zeros of 01 01 00 00 00
            return np.stack([points["x"], points["y"]], axis=-1)
    out = np.full((len(cells), 2), np.nan)
    for row, cell in enumerate(cells):
        if cell is not None:
            out[row] = _point(cell, row, raw)
    return out


def _point(cell: bytes, row: int, raw: Raw) -> tuple[float, float]:
    try:
        order = "<" if cell[0] == 1 else ">"
        kind = struct.unpack_from(order + "I", cell, 1)[0]
        start = 9 if kind & 0x20000000 else 5  # PostGIS puts the SRID between
        if (kind & 0xFFFF) % 1000 == 1:
            x, y = struct.unpack_from(order + "dd", cell, start)
            return x, y
        raw.unplaced[row] = f"geometry of type {kind}; a place is a point (type 1)"
    except (struct.error, IndexError):
        raw.unplaced[row] = "geometry is no WKB"
    return np.nan, np.nan


def _read_geojson(path: str) -> Raw:
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except ValueError as error:
        raise PlacesError(f"is not JSON: {error}", path=path) from None
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise PlacesError("is not GeoJSON; expected a FeatureCollection with a list of features", path=path)
    rows = [feature.get("properties") or {} for feature in features]
    names = dict.fromkeys(name for row in rows for name in row)
    raw = Raw(path, {name: [row.get(name) for row in rows] for name in names}, range(1, len(rows) + 1))
    points = np.full((len(rows), 2), np.nan)
    for row, feature in enumerate(features):
        geometry = feature.get("geometry") or {}
        try:
            x, y = geometry["coordinates"][:2]
            points[row] = float(x), float(y)
        except (KeyError, TypeError, ValueError):
            if geometry:
                raw.unplaced[row] = f"geometry {geometry.get('type')} without one [lon, lat]; a place is a Point"
    # before RFC 7946 a file could name another frame; GDAL still writes that
    crs = content.get("crs") or {}
    _add_points(raw, points, crs.get("properties", {}).get("name", "OGC:CRS84"))
    return raw


def _add_points(raw: Raw, points: Array, crs: Any) -> None:
    """Add points as columns lon and lat, or easting and northing; rows without a point keep their own values.

    crs: anything pyproj understands; None, an unknown frame in GeoParquet, means planar.
    """
    if crs is None:
        _fill(raw, ("easting", "northing"), points)
        return
    import pyproj

    try:
        source = pyproj.CRS.from_user_input(crs)
        if source not in (pyproj.CRS("OGC:CRS84"), pyproj.CRS("EPSG:4326")):
            forward = pyproj.Transformer.from_crs(source, "OGC:CRS84", always_xy=True)
            points = np.stack(forward.transform(points[:, 0], points[:, 1]), axis=-1)
    except pyproj.exceptions.ProjError as error:
        raise PlacesError(f"its coordinates cannot be brought to WGS 84: {error}", path=raw.source) from None
    points[~np.isfinite(points)] = np.nan
    _fill(raw, ("lon", "lat"), points)


def _fill(raw: Raw, names: tuple[str, str], points: Array) -> None:
    role = roles(list(raw.columns), raw.source)
    for name, values in zip(names, points.T, strict=True):
        if name in role:
            own = floats(raw.columns.pop(role[name]))[0]
            values = np.where(np.isfinite(values), values, own)
        raw.columns[name] = values
