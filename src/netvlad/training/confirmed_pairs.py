"""Pairs of photos that show the same place, for `positives: verified`: read from a file, or found by geometry."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.places.neighbours import Neighbours
from netvlad.runtime.files import refuse_irregular
from netvlad.types import BoolArray


def confirmed(database: Places, queries: Places, near: Neighbours, possible: BoolArray, file: str | None) -> BoolArray:
    """Whether each of the M pairs in `near` is confirmed, among those that are `possible`, both (M,) bool.

    file: a CSV file with the columns query and database, paths of photos (relative to its folder). Any other file is
    one of `verified_pairs` (Parquet); pairs that it lacks are verified now and added to it. None: all are verified now.
    Raises PlacesError, NetvladError for other files.
    """
    own = np.repeat(np.arange(len(queries)), np.diff(near.offsets))
    at = np.flatnonzero(possible)
    if file is not None and file.lower().endswith(".csv"):
        listed = _read(Path(file))
        found = [(queries.path[q], database.path[d]) in listed for q, d in zip(own[at], near.ids[at], strict=True)]
    else:
        from netvlad.training.verified import verified_pairs

        wanted = ((int(q), [int(d)]) for q, d in zip(own[at], near.ids[at], strict=True))
        known = verified_pairs(database, queries, wanted, file=file)
        good = known.inliers >= known.least
        pairs = set(zip(known.query[good].tolist(), known.database[good].tolist(), strict=True))
        found = [pair in pairs for pair in zip(own[at].tolist(), near.ids[at].tolist(), strict=True)]
    out = np.zeros(len(own), bool)
    out[at] = found
    return out


def _read(path: Path) -> set[tuple[str, str]]:
    refuse_irregular(path, error=PlacesError)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise PlacesError(f"cannot be read as a table of confirmed pairs ({e})", path=path) from e
    if not rows or not {"query", "database"} <= set(rows[0]):
        raise PlacesError(
            "lists no confirmed pairs; a CSV file with the columns query and database is wanted", path=path
        )
    folder = path.resolve().parent
    return {
        (os.path.abspath(folder / (row["query"] or "")), os.path.abspath(folder / (row["database"] or "")))
        for row in rows
    }
