"""Which photos show the same place: by positions, and by labels where there are none.

Two photos that both have a position are of one place when they are near enough. Where either has none, they are of
one place when they share a place label, and elsewhere otherwise: a photo that is known by its label alone is near no
position and near no other label.
"""

from __future__ import annotations

import numpy as np

from netvlad.places.neighbours import Neighbours, is_within, radius_neighbors
from netvlad.places.table import Places


def place_matches(queries: Places, database: Places, radius: float) -> Neighbours:
    """The database rows of each query's place: those within `radius` metres, nearest first, then those that share its
    label where one of the two has no position, in order, with NaN for metres.

    Errors: as `radius_neighbors`.
    """
    near = radius_neighbors(queries, database, radius)
    if queries.located.all() and database.located.all():
        return near
    query, row = _sharing(queries, database)
    own = np.concatenate([np.repeat(np.arange(len(queries)), np.diff(near.offsets)), query])
    order = np.argsort(own, kind="stable")  # by distance before, and by label after, as they stand
    offsets = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=len(queries)))])
    metres = np.concatenate([near.metres, np.full(len(row), np.nan)])
    return Neighbours(offsets.astype(np.int64), np.concatenate([near.ids, row])[order], metres[order])


def is_place_match(queries: Places, database: Places, ids: np.ndarray, radius: float) -> np.ndarray:
    """Whether database row ids[i, j] is of the place of query i: bool (Q, k), as `ids`; -1, no row, never is.

    Errors: as `is_within`.
    """
    correct = is_within(queries, database, ids, radius)
    if (queries.located.all() and database.located.all()) or not len(database):
        return correct
    label = queries.place[:, None]
    shared = (database.place[ids] == label) & (label != "") & (ids >= 0)
    return correct | (shared & ~(queries.located[:, None] & database.located[ids]))


def _sharing(queries: Places, database: Places) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows with one label, one of them at least without a position: (P,) query, (P,) database row."""
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(database.place):
        if label:
            rows.setdefault(label, []).append(row)
    found = [np.array(rows.get(label, []), np.int64) for label in queries.place]
    query = np.repeat(np.arange(len(found)), [len(f) for f in found])
    row = np.concatenate([np.empty(0, np.int64), *found])
    wanted = ~(queries.located[query] & database.located[row])
    return query[wanted], row[wanted]
