"""Write a table of places in formats that other programs open and `read_places` reads back."""

from __future__ import annotations

import csv
import json
import os
from typing import Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.table import COLUMNS, Places
from netvlad.runtime.files import atomic
from netvlad.types import Array

_NAMES = tuple(name for name in COLUMNS if name != "is_utc")  # the time says it
_TEXTS = _NAMES[8:]


def write_places(places: Places, path: str | os.PathLike[str]) -> None:
    """Write a table as .csv, .parquet (GeoParquet) or .geojson, whole or not at all; `read_places` reads it back.

    Photos below the table's folder are named relative to it, so that the folder can move.
    Raises PlacesError for another suffix, a missing folder and a name that is not text.
    """
    path = os.path.abspath(os.fspath(path))
    formats = {".csv": _write_csv, ".parquet": _write_parquet, ".geojson": _write_geojson}
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in formats:
        raise PlacesError(
            f"{path}: places are written as {', '.join(formats)}, not as {suffix or 'a file without suffix'}"
        )
    if not os.path.isdir(os.path.dirname(path)):
        raise PlacesError(f"cannot be written: there is no folder {os.path.dirname(path)}", path=path)
    try:
        with atomic(path) as whole:
            formats[suffix](places, str(whole), _relative(places.path, os.path.dirname(path)))
    except UnicodeEncodeError as error:
        raise PlacesError(
            f"cannot be written: {error.object!r} has a name that is no text; rename it", path=path
        ) from None


def _relative(paths: Array, folder: str) -> list[str]:
    """Paths below the folder relative to it, so that the folder can move."""
    below = folder.rstrip(os.sep) + os.sep
    return [path.removeprefix(below).replace(os.sep, "/") for path in paths]


def _stamps(places: Places) -> list[str]:
    """ISO 8601, with a Z where time is UTC; "" unknown."""
    texts = np.datetime_as_string(places.time)
    return [
        "" if unknown else text + "Z" * bool(utc)
        for text, utc, unknown in zip(texts, places.is_utc, np.isnat(places.time), strict=True)
    ]


def _write_csv(places: Places, path: str, paths: list[str]) -> None:
    def cells(column: Array) -> list[str]:
        return ["" if np.isnan(value) else str(value) for value in column]

    zones = [str(code) if code else "" for code in places.utm]
    columns = [paths, *(cells(getattr(places, name)) for name in _NAMES[1:5]), zones, cells(places.heading)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_NAMES)
        writer.writerows(zip(*columns, _stamps(places), *(getattr(places, name) for name in _TEXTS), strict=True))


def _write_geojson(places: Places, path: str, paths: list[str]) -> None:
    """One feature a line. GeoJSON has degrees only: planar places have no geometry."""

    def number(value: Any) -> float | None:
        return None if np.isnan(value) else float(str(value))  # through str, so that a float32 stays short

    stamps = _stamps(places)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        for i in range(len(places)):
            lat, lon = number(places.lat[i]), number(places.lon[i])
            properties = {
                "path": paths[i],
                "easting": number(places.easting[i]),
                "northing": number(places.northing[i]),
                "utm": int(places.utm[i]) or None,
                "heading": number(places.heading[i]),
                "time": stamps[i] or None,
                **{name: getattr(places, name)[i] or None for name in _TEXTS},
            }
            geometry = None if lat is None else {"type": "Point", "coordinates": [lon, lat]}
            feature = {"type": "Feature", "geometry": geometry, "properties": properties}
            line = json.dumps(feature, ensure_ascii=False, allow_nan=False)
            file.write(line + (",\n" if i + 1 < len(places) else "\n"))
        file.write("]}\n")


def _write_parquet(places: Places, path: str, paths: list[str]) -> None:
    """GeoParquet 1.1: WKB points beside plain columns; the frame of planar places is unknown (crs null)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    x, y = (places.lon, places.lat) if places.geodetic else (places.easting, places.northing)
    points = np.zeros(len(places), [("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
    points["order"], points["kind"], points["x"], points["y"] = 1, 1, x, y
    wkb = points.tobytes()
    size = points.itemsize
    known = ~np.isnat(places.time)
    if places.is_utc[known].all() or not places.is_utc.any():
        time = pa.array(places.time, pa.timestamp("s"))
        time = time.cast(pa.timestamp("s", "UTC")) if places.is_utc.any() else time
    else:  # a column of timestamps has one clock
        time = pa.array([stamp or None for stamp in _stamps(places)], pa.string())
    columns = {
        "path": pa.array(paths, pa.string()),
        **{name: pa.array(getattr(places, name), from_pandas=True) for name in _NAMES[1:5]},
        "utm": pa.array(places.utm, mask=places.utm == 0),
        "heading": pa.array(places.heading, from_pandas=True),
        "time": time,
        **{name: pa.array(list(getattr(places, name)), pa.string()) for name in _TEXTS},
        "geometry": pa.array(
            [wkb[i * size : (i + 1) * size] if at else None for i, at in enumerate(places.located)], pa.binary()
        ),
    }
    geometry: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
    if places.located.any():
        geometry["bbox"] = [float(v) for v in (np.nanmin(x), np.nanmin(y), np.nanmax(x), np.nanmax(y))]
    if not places.geodetic:
        geometry["crs"] = None
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    pq.write_table(pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)}), path)
