"""Pairs of photos that may show the same place, for structure from motion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError
from netvlad.maps.index import PlaceIndex
from netvlad.maps.own_matches import own_matches
from netvlad.places import radius_neighbors
from netvlad.runtime.files import write_text
from netvlad.types import IntArray

TOP = 20


def find_pairs(index: PlaceIndex, *, top: int = TOP, within: float | None = None) -> IntArray:
    """Rows (P, 2) of pairs, the smaller row first, each pair once, in order.

    Each photo is paired with the `top` most similar others. within: with all others up to so many metres away too,
    where positions are known. Raises NetvladError for numbers that make no sense.
    """
    if top < 0 or (within is not None and not within >= 0):
        raise NetvladError(f"pairs of the {top} most similar photos within {within} m: both must be 0 or more")
    best = own_matches(index, top)
    found = [np.stack([np.repeat(np.arange(len(best)), best.shape[1]), best.ravel()], axis=1)]
    if within is not None:
        places = index.places
        near = radius_neighbors(places, places, within)
        found.append(np.stack([np.repeat(np.arange(len(near)), np.diff(near.offsets)), near.ids], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    kept: IntArray = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return kept


def check_names(names: Sequence[str], file: Path) -> None:
    """Raise NetvladError for a name with a space or a line break, which no reader of pairs can tell from two."""
    for name in names:
        if name.split() != [name]:
            raise NetvladError(f"pairs are separated by spaces, and {name!r} has one: rename it", path=file)


def write_pairs(pairs: IntArray, names: Sequence[str], file: Path) -> None:
    """Write two names a line, as hloc and COLMAP's `matches_importer` (match type "pairs") read them.

    Raises NetvladError as `check_names`.
    """
    check_names(names, file)
    write_text(file, "".join(f"{names[a]} {names[b]}\n" for a, b in pairs.tolist()))
