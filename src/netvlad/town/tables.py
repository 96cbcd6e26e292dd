"""The tables of a town: what was recorded, and what is true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from netvlad.places import Places, write_places
from netvlad.runtime.files import atomic
from netvlad.town.capture_plan import SPLITS, Size, neighbourhoods, outline, surveys, wanted_queries
from netvlad.town.world import EPSG


def write_tables(folder: Path, split: str, seed: int, size: Size, gps: float, compass: float, workers: int) -> None:
    from netvlad.panoramas.cut_outs import LAYOUTS, write_cut_outs

    surveyed = [
        (s.name, n) for n in neighbourhoods(size)[split] for _, shots in surveys(seed, n, size, split) for s in shots
    ]
    asked = [
        (name, number)
        for number, wanted in wanted_queries(seed, size, split)
        for _, drawn in wanted
        for name, _ in drawn
    ]
    panoramas = [(f"panoramas/{name}.jpg", name, number) for name, number in surveyed]
    queries = [(f"queries/photos/{name}.jpg", name, number) for name, number in asked]
    truth = [_truth(folder, seed, size, *row) for row in panoramas + queries]
    rng = np.random.default_rng([seed, SPLITS.index(split), 6])
    taken = _recorded(folder, truth[: len(panoramas)], rng, gps, compass, "panorama", "database")
    write_places(taken, folder / "panoramas.parquet")
    found = _recorded(folder, truth[len(panoramas) :], rng, gps, None, "", "query")
    database = write_cut_outs(taken, folder / "database", LAYOUTS["tokyo"].sized(*size.photo), workers=workers)
    write_places(found, folder / "queries" / "places.parquet")
    write_places(Places.concat([database, found]), folder / "places.parquet")
    _write_truth(folder / "truth.parquet", truth)


def _truth(folder: Path, seed: int, size: Size, path: str, name: str, number: int) -> dict:
    from PIL import Image

    with Image.open(folder / path) as image:
        truth = json.loads(image.info["comment"])
    place = outline(seed, number, size.streets)
    east, north = place.to_world(np.array(truth["at"]))[:2] + place.origin
    row = {"path": path, "name": name, "neighbourhood": number, "easting": float(east), "northing": float(north)}
    row |= {"height": truth["at"][2], "heading": truth["heading"], "time": truth["time"], "weather": truth["weather"]}
    return row | {"sun": truth["sun"], **{k: truth.get(k, np.nan) for k in ("pitch", "roll", "fov")}}


def _recorded(
    folder: Path, truth: list[dict], rng, gps: float, compass: float | None, panorama: str, split: str
) -> Places:
    """What the car's receiver and compass would have said; phones tell no heading."""
    off = rng.normal(0, gps, (len(truth), 2)) if gps else np.zeros((len(truth), 2))
    turned = rng.normal(0, compass or 0, len(truth))
    return Places.build(
        path=[folder / row["path"] for row in truth],
        easting=np.array([row["easting"] for row in truth]) + off[:, 0],
        northing=np.array([row["northing"] for row in truth]) + off[:, 1],
        utm=EPSG,
        heading=None if compass is None else (np.array([row["heading"] for row in truth]) + turned) % 360,
        time=np.array([row["time"] for row in truth], "datetime64[s]"),
        is_utc=True,
        panorama=[row["name"] for row in truth] if panorama else None,
        split=split,
    )


def _write_truth(path: Path, truth: list[dict]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(path) as whole:
        pq.write_table(pa.Table.from_pylist(truth), whole)
