"""The tables of a town: positions as recorded, and the ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from netvlad.panoramas.cut_outs import LAYOUTS, write_cut_outs
from netvlad.places import Places, write_places
from netvlad.runtime.files import atomic
from netvlad.town.capture_plan import SPLITS, Size, neighbourhoods, outline, planned_queries, surveys
from netvlad.town.world import EPSG

Row = dict[str, Any]  # column -> value
LAST = "truth.parquet"  # written when all else is there


def write_tables(folder: Path, split: str, seed: int, size: Size, gps: float, compass: float, workers: int) -> None:
    """Write the tables and the cut-outs of a split, whose photos are in `folder`; see `build_town`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    surveyed = [
        (s.name, n) for n in neighbourhoods(size)[split] for _, shots in surveys(seed, n, size, split) for s in shots
    ]
    planned = [
        (name, n) for n, visits in planned_queries(seed, size, split) for _, photos in visits for name, _ in photos
    ]
    panoramas = [(f"panoramas/{name}.jpg", name, number) for name, number in surveyed]
    queries = [(f"queries/photos/{name}.jpg", name, number) for name, number in planned]
    ground_truth = [_ground_truth(folder, seed, size, *row) for row in panoramas + queries]
    rng = np.random.default_rng([seed, SPLITS.index(split), 6])
    taken = _recorded(folder, ground_truth[: len(panoramas)], rng, gps, compass)
    write_places(taken, folder / "panoramas.parquet")
    found = _recorded(folder, ground_truth[len(panoramas) :], rng, gps, None)
    database = write_cut_outs(taken, folder / "database", LAYOUTS["tokyo"].sized(*size.photo), workers=workers)
    write_places(found, folder / "queries" / "places.parquet")
    write_places(Places.concat([database, found]), folder / "places.parquet")
    with atomic(folder / LAST) as whole:
        pq.write_table(pa.Table.from_pylist(ground_truth), whole)


def _ground_truth(folder: Path, seed: int, size: Size, path: str, name: str, number: int) -> Row:
    """Ground truth of a photo, of which a part is in its JPEG comment."""
    with Image.open(folder / path) as image:
        ground_truth = json.loads(image.info["comment"])
    place = outline(seed, number, size.streets)
    east, north = place.to_world(np.array(ground_truth["at"]))[:2] + place.origin
    row = {"path": path, "name": name, "neighbourhood": number, "easting": float(east), "northing": float(north)}
    row |= {"height": ground_truth["at"][2], **{k: ground_truth[k] for k in ("heading", "time", "weather", "sun")}}
    return row | {k: ground_truth.get(k, np.nan) for k in ("pitch", "roll", "fov")}


def _recorded(
    folder: Path, ground_truth: list[Row], rng: np.random.Generator, gps: float, compass: float | None
) -> Places:
    """Positions and headings with the errors of a receiver and a compass; compass None: queries, without headings."""
    off = rng.normal(0, gps, (len(ground_truth), 2)) if gps else np.zeros((len(ground_truth), 2))
    turned = rng.normal(0, compass or 0, len(ground_truth))
    return Places.build(
        path=[folder / row["path"] for row in ground_truth],
        easting=np.array([row["easting"] for row in ground_truth]) + off[:, 0],
        northing=np.array([row["northing"] for row in ground_truth]) + off[:, 1],
        utm=EPSG,
        heading=None if compass is None else (np.array([row["heading"] for row in ground_truth]) + turned) % 360,
        time=np.array([row["time"] for row in ground_truth], "datetime64[s]"),
        is_utc=True,
        panorama=None if compass is None else [row["name"] for row in ground_truth],
        split="query" if compass is None else "database",
    )
