"""Damaged tables: CSV, GeoJSON, Parquet, MATLAB's structs and networks, YAML settings, cards, logs of runs.

Each is read or refused by a NetvladError, within seconds, with a message of bounded length. A silent difference is: a
row that is neither a place nor told of (where damage leaves it countable: cells replaced in a CSV, values in a GeoJSON,
columns in a Parquet file).
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.places import Places, read_places, write_places
from soak import world
from soak.mutate import Rng, damage, pick
from soak.table_damage import WRITERS, damage_cells, damage_features, odd_parquet, odd_text, odd_yaml
from soak.tries import Area, Done, Fault, check_message

ROWS = 12
SLOW = 5.0  # seconds of processor time that a small table may take


def prepare(base: Path) -> None:
    paths = [base / "photos" / f"{i}.jpg" for i in range(ROWS)]
    places = Places.build(
        path=paths,
        lat=31.26 + 1e-3 * np.arange(ROWS),
        lon=34.8,
        heading=np.arange(ROWS) * 7.5,
        time=[f"2025-05-{i + 1:02}T12:00:00Z" for i in range(ROWS)],
        panorama=[f"p{i // 2}" for i in range(ROWS)],
        split=["database", "query"] * (ROWS // 2),
    )
    for suffix in ("csv", "geojson", "parquet"):
        write_places(places, base / f"seed.{suffix}")
    for name, write in WRITERS.items():
        write(base / name)
    world.write_weights(base / "weights")
    world.write_model(base / "weights", base / "model", world.draw_photos(base / "photos", 10, 2, 6))


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    kind = pick(rng, list(KINDS))
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            how = KINDS[kind](base, here, rng)
        except NetvladError as e:
            check_message(str(e))
            how = "refused"
    spent = time.process_time() - begin
    if spent > SLOW:
        raise Fault("slow", f"{kind}: {spent:.1f} s of processor time")
    return Done(how)


def _read(file: Path, rows: int | None) -> str:
    """Read places. rows: that the table has, each of which must be a place or told of; None where nobody knows."""
    try:
        places = read_places(file)
    except NetvladError as e:
        check_message(str(e))
        return "refused"
    if not np.isfinite(places.xyz[places.located]).all():
        raise Fault("silent difference", "positions that are no numbers")
    for told in [*places.skipped, *places.notes]:
        check_message(str(told))
    lines = {skipped.line for skipped in places.skipped}
    if rows is not None and len(places) + len(lines) != rows:
        raise Fault("silent difference", f"of {rows} rows {len(places)} are places and {len(lines)} are told of")
    return "read"


def _bytes(suffix: str) -> Callable[[Path, Path, Rng], str]:
    def attempt(base: Path, here: Path, rng: Rng) -> str:
        file = here / f"table.{suffix}"
        others = [(base / f"seed.{other}").read_bytes() for other in ("csv", "geojson", "parquet")]
        file.write_bytes(damage((base / f"seed.{suffix}").read_bytes(), rng, others)[0])
        return _read(file, None)

    return attempt


def _cells(base: Path, here: Path, rng: Rng) -> str:
    file = here / "table.csv"
    rows = damage_cells(base / "seed.csv", file, rng)
    return _read(file, rows)


def _odd_text(base: Path, here: Path, rng: Rng) -> str:
    file = here / pick(rng, ("table.csv", "table.tsv", "table.geojson", "table.json"))
    file.write_bytes(odd_text((base / "seed.csv").read_bytes(), rng))
    return _read(file, None)


def _features(base: Path, here: Path, rng: Rng) -> str:
    file = here / "table.geojson"
    text, rows = damage_features(json.loads((base / "seed.geojson").read_text()), rng)
    file.write_text(text)
    return _read(file, rows)


def _parquet(base: Path, here: Path, rng: Rng) -> str:
    file = here / "table.parquet"
    return _read(file, odd_parquet(base / "seed.parquet", file, rng))


def _mat(base: Path, here: Path, rng: Rng) -> str:
    from netvlad.benchmarks.dbstruct import read_struct
    from netvlad.pretrained.matlab import read_mat

    name = pick(rng, [name for name in WRITERS if name.endswith(".mat")])
    file = here / name
    file.write_bytes(damage((base / name).read_bytes(), rng)[0])
    if name.startswith("struct"):
        struct = read_struct(file)
        if len(struct.database) != len(struct.database_utm):
            raise Fault("silent difference", "names and positions of other lengths")
    else:
        read_mat(file, "net")
    return "read"


def _yaml(base: Path, here: Path, rng: Rng) -> str:
    from netvlad.training.settings import make_config

    file = here / "settings.yaml"
    file.write_bytes(odd_yaml((base / "seed.yaml").read_bytes(), rng))
    make_config(file)
    return "read"


def _model(base: Path, here: Path, rng: Rng) -> str:
    """A saved model of which one file is damaged: it is refused, or its vectors are those of the whole one."""
    import shutil

    import netvlad
    from soak.mutate import damage_json, to_json

    folder = here / "model"
    shutil.copytree(base / "model", folder)
    card = folder / "card.json"
    if rng.random() < 0.6:
        card.write_text(to_json(damage_json(json.loads(card.read_text()), rng), rng))
    else:
        file = pick(rng, sorted(folder.iterdir()))
        file.write_bytes(damage(file.read_bytes(), rng)[0])
    photo = str(base / "photos" / "000_0.jpg")
    model = netvlad.load(folder)
    _check_vectors(model, netvlad.load(base / "model"), photo)
    return "read"


def _check_vectors(model: Any, whole: Any, photo: str) -> None:
    if model.identity == whole.identity and not np.array_equal(model.describe([photo]), whole.describe([photo])):
        raise Fault("silent difference", "a damaged model of the same identity gives other vectors")


KINDS: dict[str, Callable[[Path, Path, Rng], str]] = {
    "CSV": _bytes("csv"),
    "cells": _cells,
    "text": _odd_text,
    "GeoJSON": _bytes("geojson"),
    "features": _features,
    "Parquet": _bytes("parquet"),
    "columns": _parquet,
    "MATLAB": _mat,
    "YAML": _yaml,
    "model": _model,
}
AREA = Area("tables", 0.05, prepare, attempt, 100)
