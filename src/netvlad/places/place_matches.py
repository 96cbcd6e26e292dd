"""Which photos show the same place: by positions, and by labels where there are none.

Two photos with positions show one place if they are near enough. If either has no position, they show one place if they
share a place label, and different places otherwise.
"""

from __future__ import annotations

import numpy as np

from netvlad.places.neighbours import Neighbours, is_within, radius_neighbors
from netvlad.places.table import Places
from netvlad.types import BoolArray, IntArray


def place_matches(queries: Places, database: Places, radius: float) -> Neighbours:
    """The database rows of each query's place.

    First those within `radius` metres, nearest first; then, in order and with NaN for metres, those that share the
    query's label where either has no position. Raises PlacesError as `radius_neighbors` does.
    """
    near = radius_neighbors(queries, database, radius)
    if queries.located.all() and database.located.all():
        return near
    query, row = _sharing(queries, database)
    own = np.concatenate([np.repeat(np.arange(len(queries)), np.diff(near.offsets)), query])
    order = np.argsort(own, kind="stable")  # stable: a query's neighbours stay before what shares its label
    offsets = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=len(queries)))])
    metres = np.concatenate([near.metres, np.full(len(row), np.nan)])
    return Neighbours(offsets.astype(np.int64), np.concatenate([near.ids, row])[order], metres[order])


def is_place_match(queries: Places, database: Places, ids: IntArray, radius: float) -> BoolArray:
    """Whether database row ids[i, j] is of the place of query i: bool (Q, k), as `ids`; False for -1, no row.

    Raises PlacesError as `is_within` does.
    """
    correct = is_within(queries, database, ids, radius)
    if (queries.located.all() and database.located.all()) or not len(database):
        return correct
    label = queries.place[:, None]
    shared = (database.place[ids] == label) & (label != "") & (ids >= 0)
    return np.asarray(correct | (shared & ~(queries.located[:, None] & database.located[ids])))


def _sharing(queries: Places, database: Places) -> tuple[IntArray, IntArray]:
    """Pairs of a query and a database row, (P,) each, that share a label and of which either has no position."""
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(database.place):
        if label:
            rows.setdefault(label, []).append(row)
    found = [np.array(rows.get(label, []), np.int64) for label in queries.place]
    query = np.repeat(np.arange(len(found)), [len(f) for f in found])
    matched = np.concatenate([np.empty(0, np.int64), *found])
    wanted = ~(queries.located[query] & database.located[matched])
    return query[wanted], matched[wanted]
