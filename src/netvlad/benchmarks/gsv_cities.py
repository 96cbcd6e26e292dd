"""GSV-Cities (Ali-bey et al. 2022): places of 23 cities with several photos each, for training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import is_number, read_rows
from netvlad.errors import PlacesError
from netvlad.places.table import Places

_Key: TypeAlias = tuple[int, int, int, int, str]  # place, year, month, heading, panorama
_COLUMNS = ("place_id", "year", "month", "northdeg", "city_id", "lat", "lon", "panoid")


def read(root: Path) -> Split:
    """Read all cities with a table in Dataframes/. `place` is city_placeid: numbers start anew in each city."""
    folder = root / "Dataframes"
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        raise PlacesError("holds no CSV tables, one a city such as London.csv", path=folder)
    return Split(Places.concat(_read_city(root, table) for table in tables), Places.build(path=[]))


def _read_city(root: Path, table: Path) -> Places:
    rows = read_rows(table, _COLUMNS)
    found = {city: _named(root / "Images" / city, city) for city in {row["city_id"] for row in rows}}
    try:
        keys = [_key(row) for row in rows]
        headings = np.mod([float(row["northdeg"]) for row in rows], 360)  # some are written as 584
    except ValueError as error:
        raise PlacesError(f"{error}; place_id, year, month and northdeg are numbers", path=table) from None
    names = [found[row["city_id"]].get(key) or _name(row, key) for row, key in zip(rows, keys, strict=True)]
    return Places.build(
        path=[root / "Images" / row["city_id"] / name for row, name in zip(rows, names, strict=True)],
        lat=[row["lat"] for row in rows],
        lon=[row["lon"] for row in rows],
        heading=headings,
        time=[f"{int(row['year']):04d}-{int(row['month']):02d}" for row in rows],
        panorama=[row["panoid"] for row in rows],
        place=[f"{row['city_id']}_{int(row['place_id']):07d}" for row in rows],
    )


def _key(row: dict[str, str]) -> _Key:
    return int(row["place_id"]), int(row["year"]), int(row["month"]), int(row["northdeg"]), row["panoid"]


def _name(row: dict[str, str], key: _Key) -> str:
    place, year, month, degrees, panorama = key
    head = f"{row['city_id']}_{place:07d}_{year:04d}_{month:02d}_{degrees:03d}"
    return f"{head}_{row['lat']}_{row['lon']}_{panorama}.jpg"


def _named(folder: Path, city: str) -> dict[_Key, str]:
    """The photos of a folder by all that their names say but the position, whose digits vary among copies."""
    found: dict[_Key, str] = {}
    for name in os.listdir(folder) if folder.is_dir() else ():
        pieces = os.path.splitext(name)[0].removeprefix(f"{city}_").split("_", 6)
        if len(pieces) == 7 and all(map(is_number, pieces[:4])):
            place, year, month, degrees = map(int, pieces[:4])
            found[place, year, month, degrees, pieces[6]] = name
    return found


LAYOUT = """ROOT/
  Dataframes/London.csv ...     (place_id, year, month, northdeg, city_id, lat, lon, panoid)
  Images/London/London_0000130_2018_04_015_51.4861_-0.0895151_6jFjb3wGyCkcBfq4k559ag.jpg ...
                (city_place_year_month_heading_lat_lon_panorama)"""

ALL = (
    Benchmark(
        name="gsv-cities",
        title="GSV-Cities: 62,000 places of 23 cities with 4 to 20 photos each, to train on",
        reader=read,
        images=530_000,
        licence="research only (Google Street View)",
        source="https://github.com/amaralibey/gsv-cities",
        how="from Kaggle; the link is in the source",
        layout=LAYOUT,
        kind="train",
    ),
)
