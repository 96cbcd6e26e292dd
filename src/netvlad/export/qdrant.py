"""Vectors as points for Qdrant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.export.names import photo_names, refuse_existing
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places
from netvlad.runtime.files import atomic

BATCH = 500  # points of a line, a request of a few megabytes


def write_qdrant(index: PlaceIndex, file: Path) -> list[Path]:
    """Write JSON Lines, each the body of one `PUT /collections/NAME/points`; returns the file.

    A point has the row of the photo as its id, its vector, and as payload its name, its position as `location` (lat,
    lon: what Qdrant filters by), heading, time and label, where these are known. The collection is to have vectors of
    size `index.store.dim` and the distance Cosine. Raises NetvladError where the file exists.
    """
    names, places = photo_names(index), index.places
    refuse_existing(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as temporary, open(temporary, "w", encoding="utf-8") as lines:
        row = 0
        for block in index.store.vectors():
            payloads = _payloads(names, places, row, len(block))
            points = [
                {"id": row + i, "vector": vector.tolist(), "payload": payload}
                for i, (vector, payload) in enumerate(zip(block, payloads, strict=True))
            ]
            for first in range(0, len(points), BATCH):
                lines.write(json.dumps({"points": points[first : first + BATCH]}) + "\n")
            row += len(block)
    return [file]


def _payloads(names: list[str], places: Places, first: int, count: int) -> Iterator[dict[str, Any]]:
    for row in range(first, first + count):
        payload: dict[str, Any] = {"path": names[row]}
        if np.isfinite(places.lat[row]):
            payload["location"] = {"lat": float(places.lat[row]), "lon": float(places.lon[row])}
        elif np.isfinite(places.easting[row]):
            payload |= {"easting": float(places.easting[row]), "northing": float(places.northing[row])}
        if np.isfinite(places.heading[row]):
            payload["heading"] = float(places.heading[row])
        if not np.isnat(places.time[row]):
            payload["time"] = str(places.time[row])
        if places.place[row]:
            payload["place"] = str(places.place[row])
        yield payload
