"""Photos whose place nobody knows, for maps that are asked which of their photos are alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.runtime.addresses import absolute


def unplaced(paths: Sequence[str | os.PathLike[str]]) -> Places:
    """Places without a position and without a label, one a photo. A map answers with the photos that are most alike."""
    n = len(paths)
    columns: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        if kind is object:
            columns[name] = np.full(n, "", object)
        elif kind == "datetime64[s]":
            columns[name] = np.full(n, "NaT", kind)
        else:
            columns[name] = np.full(n, 0 if kind in (np.int32, np.bool_) else np.nan, kind)
    columns["path"][:] = [absolute(path) for path in paths]
    return Places(**columns)
