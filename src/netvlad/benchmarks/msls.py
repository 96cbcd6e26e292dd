"""Mapillary Street-Level Sequences (Warburg et al. 2020): cities of six continents over nine years."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import read_rows
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.places.positions import AGREE
from netvlad.places.projection import ecef, from_utm, to_utm
from netvlad.places.table import Places
from netvlad.places.values import floats
from netvlad.types import Array, BoolArray, IntArray

CITIES = {
    "train": ("trondheim", "london", "boston", "melbourne", "amsterdam", "helsinki", "tokyo", "toronto", "saopaulo")
    + ("moscow", "zurich", "paris", "bangkok", "budapest", "austin", "berlin", "ottawa", "phoenix", "goa", "amman")
    + ("nairobi", "manila"),
    "val": ("cph", "sf"),
}


def read(root: Path, split: str) -> Split:
    """Read all cities of a split into one table, without panoramas and, for val, what subtask_index.csv leaves out.

    Positions are the postprocessed ones, headings the compass angles of raw.csv, as in the authors' loader.
    """
    tables: dict[str, list[Places]] = {"database": [], "query": []}
    conditions: list[str] = []
    for city in CITIES[split]:
        for which, places in tables.items():
            folder = root / "train_val" / city / which
            table, night = _read_city(folder, listed=split == "val")
            places.append(table)
            if which == "query":
                conditions += ["night" if is_night else "day" for is_night in night]
    return Split(
        Places.concat(tables["database"]),
        Places.concat(tables["query"]),
        condition=np.array(conditions, object),
    )


def _read_city(folder: Path, listed: bool) -> tuple[Places, BoolArray]:
    raw = _read(folder / "raw.csv", "key", "lon", "lat", "ca", "captured_at", "pano")
    post = _read(folder / "postprocessed.csv", "key", "easting", "northing", "night")
    _same_rows(folder, raw, post, "postprocessed.csv")
    keep = np.array([pano.lower() != "true" for pano in raw["pano"]], bool)
    if listed:
        index = _read(folder / "subtask_index.csv", "key", "all")
        _same_rows(folder, raw, index, "subtask_index.csv")
        keep &= np.array([cell.lower() == "true" for cell in index["all"]], bool)
    rows = np.flatnonzero(keep)
    return _places(folder, raw, post, rows), np.array([post["night"][row].lower() == "true" for row in rows], bool)


def _places(folder: Path, raw: dict[str, list[str]], post: dict[str, list[str]], rows: IntArray) -> Places:
    lat, lon, easting, northing, angle = (
        _numbers(folder, column, name, rows)
        for column, name in ((raw, "lat"), (raw, "lon"), (post, "easting"), (post, "northing"), (raw, "ca"))
    )
    zone = to_utm(lat, lon)[2]
    back = from_utm(easting, northing, zone)
    apart = np.linalg.norm(ecef(*back) - ecef(lat, lon), axis=-1)
    off = np.flatnonzero(~(apart <= AGREE))
    if len(off):
        key = raw["key"][rows[off[0]]]
        raise PlacesError(
            f"raw.csv and postprocessed.csv place {len(off)} photos more than {AGREE:g} m apart, the first of "
            f"them {key}",
            path=folder,
        )
    return Places.build(
        path=[folder / "images" / f"{raw['key'][row]}.jpg" for row in rows],
        easting=easting,
        northing=northing,
        utm=zone,
        heading=np.mod(angle, 360),
        time=[raw["captured_at"][row] for row in rows],
    )


def _numbers(folder: Path, table: dict[str, list[str]], name: str, rows: IntArray) -> Array:
    values, wrong = floats([table[name][row] for row in rows], what=name)
    if not wrong and name != "ca":  # the heading alone may be unknown
        wrong = {int(row): f"no {name}" for row in np.flatnonzero(np.isnan(values))}
    if wrong:
        row = min(wrong)
        reason = f"{len(wrong)} rows lack {name}; photo {table['key'][rows[row]]}: {wrong[row]}"
        raise PlacesError(reason, path=folder)
    return values


def _read(path: Path, *columns: str) -> dict[str, list[str]]:
    if not path.is_file():
        raise PlacesError("is not there (of metadata.zip)", path=path)
    rows = read_rows(path, columns)
    return {name: [row[name] or "" for row in rows] for name in columns}


def _same_rows(folder: Path, raw: dict[str, list[str]], other: dict[str, list[str]], name: str) -> None:
    if raw["key"] != other["key"]:
        raise PlacesError(f"raw.csv and {name} do not list the same photos in the same order", path=folder)


LAYOUT = """ROOT/
  train_val/
    CITY/                 ({cities})
      query/ and database/
        raw.csv  postprocessed.csv  subtask_index.csv  seq_info.csv
        images/KEY.jpg ..."""


def _make(name: str, title: str, split: str, heading: float | None = None, **facts: Any) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        reader=partial(read, split=split),
        licence="CC BY-NC-SA 4.0",
        source="https://www.mapillary.com/dataset/places",
        how="log in, download images_vol_1..6.zip and metadata.zip, unpack all in one folder, then the patch over it",
        layout=LAYOUT.format(cities=", ".join(CITIES[split][:3]) + (", ..." if split == "train" else "")),
        protocol=replace(STANDARD, unmatched="drop", heading=heading),
        conditions=("day", "night"),
        **facts,
    )


_VAL = {"images": 18_871 + 747, "database": 18_871, "queries": 747, "gigabytes": 0.7}

ALL = (
    _make("msls-train", "Mapillary SLS, train: 22 cities", "train", images=1_400_000, gigabytes=56.0),
    _make(
        "msls-val",
        "Mapillary SLS, val: Copenhagen and San Francisco, as the authors' code judges",
        "val",
        **_VAL,
    ),
    _make(
        "msls-val-40deg",
        "Mapillary SLS, val, with the 40 degrees between headings that papers state",
        "val",
        **_VAL,
        heading=40.0,
    ),
)
