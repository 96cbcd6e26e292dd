"""Answers as a GeoPackage (OGC 12-128r18), an SQLite file that GIS programs open as a layer."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from netvlad.export.found.table import COLUMNS, Found, wkb

LAYER = "found"

_APPLICATION, _VERSION = 0x47504B47, 10300  # "GPKG", 1.3
_WGS84, _CARTESIAN = 4326, -1
_SYSTEMS = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES
    ('Undefined cartesian SRS', -1, 'NONE', -1, 'undefined', 'undefined cartesian coordinate reference system'),
    ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', 'undefined geographic coordinate reference system'),
    ('WGS 84 geodetic', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,
AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],
UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]', 'longitude and latitude');
"""
_CONTENTS = """
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT
    NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY
    (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name), CONSTRAINT fk_gc_tn FOREIGN KEY
    (table_name) REFERENCES gpkg_contents(table_name), CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES
    gpkg_spatial_ref_sys (srs_id));
"""
_TYPES = {str: "TEXT", float: "REAL", int: "INTEGER"}


def write_gpkg(found: Found, file: Path) -> None:
    """Write one layer of points with all columns."""
    frame = _WGS84 if found.geodetic else _CARTESIAN
    placed = [point for point in found.points if point]
    sides = [f(axis) for f in (min, max) for axis in zip(*placed, strict=True)] if placed else [None] * 4
    columns = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in COLUMNS.items())
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.executescript(_SYSTEMS + _CONTENTS)
        database.execute(
            f"CREATE TABLE {LAYER} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POINT, {columns})"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, min_x, min_y, max_x, max_y, srs_id)"
            " VALUES (?, 'features', ?, ?, ?, ?, ?, ?)",
            [LAYER, LAYER, *sides, frame],
        )
        database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POINT', ?, 0, 0)", [LAYER, frame])
        database.executemany(
            f"INSERT INTO {LAYER} VALUES (NULL, ?{', ?' * len(COLUMNS)})",
            (
                [_blob(point, frame), *(row[name] for name in COLUMNS)]
                for row, point in zip(found.rows, found.points, strict=True)
            ),
        )


def _blob(point: tuple[float, float] | None, frame: int) -> bytes | None:
    """A point as GeoPackageBinary: magic, version 1 (as 0), flags for little-endian without an envelope, frame, WKB."""
    return None if point is None else b"GP" + struct.pack("<BBi", 0, 1, frame) + wkb(point)
