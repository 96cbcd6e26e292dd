"""Answers as GeoParquet 1.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netvlad.export.found.table import COLUMNS, Found, wkb


def write_parquet(found: Found, file: Path) -> None:
    """Write all columns and a column `geometry` of WKB points; the frame of planar places is unknown (crs null)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    columns = {name: pa.array([row[name] for row in found.rows], types[kind]) for name, kind in COLUMNS.items()}
    columns["geometry"] = pa.array([point and wkb(point) for point in found.points], pa.binary())
    geometry: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
    placed = [point for point in found.points if point]
    if placed:
        geometry["bbox"] = [f(axis) for f in (min, max) for axis in zip(*placed, strict=True)]
    if not found.geodetic:
        geometry["crs"] = None
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    pq.write_table(pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)}), file)
