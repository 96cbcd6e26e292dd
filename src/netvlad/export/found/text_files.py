"""Answers as CSV and GeoJSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from netvlad.export.found.table import COLUMNS, Found, Value


def write_csv(found: Found, file: Path) -> None:
    """Write all columns, with a byte order mark: spreadsheets take a file without one for the system's own encoding."""
    with open(file, "w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(COLUMNS)
        writer.writerows([_cell(name, row[name]) for name in COLUMNS] for row in found.rows)


def _cell(name: str, value: Value) -> Value:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"./{value}" if name in ("photo", "match") else f"'{value}"
    return value


def write_geojson(found: Found, file: Path) -> None:
    """Write one feature a line (RFC 7946). It has degrees only: answers without them have no geometry."""
    with open(file, "w", encoding="utf-8") as opened:
        opened.write('{"type": "FeatureCollection", "features": [\n')
        for i, (row, point) in enumerate(zip(found.rows, found.points, strict=True)):
            geometry = {"type": "Point", "coordinates": point} if point and found.geodetic else None
            feature = {"type": "Feature", "geometry": geometry, "properties": row}
            opened.write(",\n" * (i > 0) + json.dumps(feature, ensure_ascii=False, allow_nan=False))
        opened.write("\n]}\n")
