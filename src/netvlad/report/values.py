"""Values of results as JSON holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np


def number(value: Any, digits: int) -> float | None:
    """Rounded, or None for what JSON has no number for."""
    return round(float(value), digits) if value is not None and np.isfinite(value) else None


def stage(name: str, seconds: float, database: int, queries: int) -> dict[str, Any]:
    """Seconds of a stage, the number of photos that it processed, and ms for each.

    A stage named after queries, search, ranking or verification processes the queries; one named after the database or
    an index the database; any other, such as "describe", both.
    """
    words = name.lower()
    if re.search("quer|search|rank|verif", words):
        photos = queries
    elif re.search("database|index|build", words):
        photos = database
    else:
        photos = database + queries
    return {
        "seconds": number(seconds, 6),
        "photos": photos,
        "ms_per_photo": number(1000 * seconds / photos, 6) if photos else None,
    }


def plain(value: Any) -> Any:
    """A value as JSON can hold it: numpy's numbers as numbers, NaN as None, other objects as text."""
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "replace").decode()  # file names may hold bytes that are no text
