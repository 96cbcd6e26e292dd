"""Points of tables: WKB cells, and coordinates in any frame as columns of degrees or metres."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.columns import Raw
from netvlad.places.io.roles import roles
from netvlad.places.values import floats
from netvlad.types import Array

_PLAIN = np.dtype([("head", "S5"), ("x", "<f8"), ("y", "<f8")])  # a little-endian WKB point
_LONGEST_CRS = 100_000  # characters


def wkb_points(cells: Sequence[bytes | None], raw: Raw) -> Array:
    """(N, 2) x, y of WKB points, NaN where there is none; cells that are no points are told in `raw.unplaced`."""
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


def add_points(raw: Raw, points: Array, crs: Any) -> None:
    """Add points as columns lon and lat, or easting and northing; rows without a point keep their own values.

    crs: anything pyproj understands; None, an unknown frame in GeoParquet, means planar. Raises PlacesError for others.
    """
    if crs is None:
        _fill(raw, ("easting", "northing"), points)
        return
    import pyproj

    try:
        if not isinstance(crs, str | dict | int) or len(str(crs)) > _LONGEST_CRS:
            raise TypeError(f"a {type(crs).__name__} of {len(str(crs))} characters is no frame; EPSG:4326 would be")
        source = pyproj.CRS.from_user_input(crs)
        if source not in (pyproj.CRS("OGC:CRS84"), pyproj.CRS("EPSG:4326")):
            forward = pyproj.Transformer.from_crs(source, "OGC:CRS84", always_xy=True)
            points = np.stack(forward.transform(points[:, 0], points[:, 1]), axis=-1)
    except (pyproj.exceptions.ProjError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PlacesError(f"its coordinates cannot be brought to WGS 84: {error}", path=raw.source) from None
    points[~np.isfinite(points)] = np.nan
    _fill(raw, ("lon", "lat"), points)


def _fill(raw: Raw, names: tuple[str, str], points: Array) -> None:
    role = roles(list(raw.columns), raw.source, raw.given)
    for name, values in zip(names, points.T, strict=True):
        if name in role:
            own = floats(raw.columns.pop(role[name]))[0]
            values = np.where(np.isfinite(values), values, own)
        raw.columns[name] = values
