"""One table of answers, which every file format writes."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from netvlad.maps.match import Credit

Value: TypeAlias = "str | float | int | None"
Answer: TypeAlias = Mapping[str, Any]

# photo, lat, lon, radius, confidence, verdict, map and match are also the columns that the page of the service writes
COLUMNS: dict[str, type[str] | type[float] | type[int]] = {
    "photo": str,
    "lat": float,
    "lon": float,
    "easting": float,
    "northing": float,
    "utm": int,
    "radius": float,
    "confidence": float,
    "absent": float,
    "verdict": str,
    "place": str,
    "heading": float,
    "map": str,
    "match": str,
    "distance": float,
    "inliers": int,
    "credit": str,
    "error": str,
}


@dataclass(frozen=True)
class Found:
    """A row for each photo, with a value or None for each of COLUMNS.

    points: x and y of each row, None where it has no position: degrees east and north where `geodetic`, else metres of
    a frame that is not known.
    """

    rows: list[dict[str, Value]]
    points: list[tuple[float, float] | None]
    geodetic: bool


def found_table(answers: Sequence[Answer], folder: Path, searched: str = "") -> Found:
    """The table of `answers`, as `Location.to_dict` gives them, or {"photo": ..., "error": ...}.

    folder: that of the file; photos in it are named relative to it, so that it can move. searched: name of the map, for
    answers that do not say so themselves. heading is that of the best match, degrees. Bytes that are no text become
    escapes.
    """
    rows = [_row(answer, folder, searched) for answer in answers]
    geodetic = any(row["lat"] is not None for row in rows) or all(row["easting"] is None for row in rows)
    x, y = ("lon", "lat") if geodetic else ("easting", "northing")
    return Found(rows, [_point(row[x], row[y]) for row in rows], geodetic)


def _row(answer: Answer, folder: Path, searched: str) -> dict[str, Value]:
    best: Answer = next(iter(answer.get("matches", ())), {})
    own = {name: answer.get(name) for name in COLUMNS}
    own |= {name: best.get(name) for name in ("utm", "heading", "distance", "inliers")}
    own |= {"photo": below(answer["photo"], folder), "map": answer.get("map", searched) or None}
    own["match"] = best.get("path")
    credit = best.get("credit")
    own["credit"] = str(Credit(**credit)) if credit else None
    return {name: as_text(value) if isinstance(value, str) else value for name, value in own.items()}


def _point(x: Value, y: Value) -> tuple[float, float] | None:
    return (float(x), float(y)) if x is not None and y is not None else None


def below(photo: str, folder: Path) -> str:
    """A path relative to `folder` where it lies below it, else absolute; with slashes."""
    path = os.path.abspath(photo)
    return path.removeprefix(os.path.abspath(folder).rstrip(os.sep) + os.sep).replace(os.sep, "/")


def as_text(text: str) -> str:
    """`text` with what UTF-8 cannot hold as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def wkb(point: tuple[float, float]) -> bytes:
    """A point as little-endian well-known binary."""
    return struct.pack("<BIdd", 1, 1, *point)
