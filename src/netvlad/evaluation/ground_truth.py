"""Which database photos are correct for which query: by their places, or as a benchmark lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places
from netvlad.places.place_matches import place_matches
from netvlad.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The correct database rows of each query. near: as neighbours; size: number of rows of the database."""

    near: Neighbours
    size: int

    @cached_property
    def _pairs(self) -> IntArray:
        """Each (query, row) as one number, sorted."""
        query = np.repeat(np.arange(len(self.near)), np.diff(self.near.offsets))
        return np.sort(np.asarray(query * self.size + self.near.ids, np.int64))

    def correct(self, ids: IntArray) -> BoolArray:
        """Whether database row ids[i, j] is correct for query i: bool (Q, k), as `ids`; -1, no row, never is."""
        asked = np.arange(len(ids))[:, None] * self.size + ids
        if not len(self._pairs):
            return np.zeros(asked.shape, bool)
        at = np.minimum(np.searchsorted(self._pairs, asked), len(self._pairs) - 1)
        return np.asarray((ids >= 0) & (self._pairs[at] == asked), bool)


def by_place(queries: Places, database: Places, radius: float, heading: float | None = None) -> GroundTruth:
    """Correct are photos of the query's place (`place_matches`).

    heading: degrees by which the headings of a query and a correct photo may differ; photos without a heading are then
    correct for no query. Raises NetvladError where no query or no database photo has a heading that this needs.
    """
    near = place_matches(queries, database, radius)
    if heading is None:
        return GroundTruth(near, len(database))
    for places, which in ((queries, "query"), (database, "database photo")):
        if not np.isfinite(places.heading).any():
            raise NetvladError(f"no {which} has a heading: what looks at most {heading:g} degrees off cannot be told")
    query = np.repeat(np.arange(len(near)), np.diff(near.offsets))
    apart = queries.heading[query].astype(np.float64) - database.heading[near.ids]
    keep = np.abs((apart + 180) % 360 - 180) <= heading
    offsets = np.concatenate([[0], np.cumsum(np.bincount(query[keep], minlength=len(near)))])
    return GroundTruth(Neighbours(offsets, near.ids[keep], near.metres[keep]), len(database))


def by_list(positives: Sequence[IntArray], size: int) -> GroundTruth:
    """Correct are the listed photos. positives: for each query rows of a database of `size`.

    Raises NetvladError for a row that the database does not have.
    """
    rows = [np.unique(np.asarray(one, np.int64)) for one in positives]
    ids = np.concatenate([np.empty(0, np.int64), *rows])
    if len(ids) and not (ids.min() >= 0 and ids.max() < size):
        odd = ids[(ids < 0) | (ids >= size)][0]
        raise NetvladError(f"database row {odd} is listed as right for a query; there are rows 0 to {size - 1}")
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in rows], dtype=np.int64)])
    return GroundTruth(Neighbours(offsets, ids, np.full(len(ids), np.nan)), size)
