"""Write a benchmark as tables that every command takes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.base import Split
from netvlad.places.io.writers import write_places
from netvlad.places.table import Places
from netvlad.runtime.files import write_json


def write(split: Split, to: str | os.PathLike[str]) -> list[Path]:
    """Write one table with a split column if `to` has the suffix of a table, else a folder of two tables.

    What tables cannot hold goes into truth.json: positives, junk, roi, condition and name of each query, as far as the
    benchmark states them, by rows of the database and of the queries, counted from 0 each. In one table the database
    comes first. A set without queries is written without a split: every photo is both.
    Returns the files. Raises PlacesError for another suffix.
    """
    to = Path(to)
    if to.suffix:
        to.parent.mkdir(parents=True, exist_ok=True)
        table = split.database
        if len(split.queries):
            table = Places.concat([_named(split.database, "database"), _named(split.queries, "query")])
        tables = {to: table}
    else:
        to.mkdir(parents=True, exist_ok=True)
        tables = {to / "database.parquet": split.database, to / "queries.parquet": split.queries}
        tables = {path: table for path, table in tables.items() if len(table)}
    for path, table in tables.items():
        write_places(table, path)
    truth = _truth(split)
    if not truth:
        return list(tables)
    beside = to.with_name(f"{to.stem}.truth.json") if to.suffix else to / "truth.json"
    write_json(beside, truth)
    return [*tables, beside]


def _named(places: Places, split: str) -> Places:
    return replace(places, split=np.full(len(places), split, object))


def _truth(split: Split) -> dict[str, Any]:
    rows = {name: getattr(split, name) for name in ("positives", "junk")}
    truth = {name: [row.tolist() for row in value] for name, value in rows.items() if value is not None}
    plain = {name: getattr(split, name) for name in ("roi", "condition", "names")}
    return truth | {name: value.tolist() for name, value in plain.items() if value is not None}
