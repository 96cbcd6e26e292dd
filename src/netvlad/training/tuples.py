"""Tuples for training from positions alone: potential positives and definite negatives (paper, section 4).

Positions only say which photos certainly show another place. The tuple of a query is its nearest potential positive and
its hardest definite negatives, by the cached descriptors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.places.place_matches import place_matches
from netvlad.places.splits import DAY, NIGHT
from netvlad.places.sun import elevation
from netvlad.places.visits import dates
from netvlad.training.config import Mining
from netvlad.training.confirmed_pairs import confirmed
from netvlad.types import Array, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Tuple:
    """The row of a query, and the database rows of its positive and its negatives (n,), nearest first."""

    query: int
    positive: int
    negatives: IntArray


class Tuples:
    """Mines tuples of `queries` against `database`. The same seed gives the same tuples.

    usable: (U,) int64, the queries with a potential positive and a definite negative; the others are skipped.
    remembered: (Q, mining.cached_negatives) int64, the hardest negatives of each query's last visit, -1 for none.
    A photo in both tables is no positive of itself. Raises PlacesError where no query has a tuple; it says why.
    """

    def __init__(
        self, database: Places, queries: Places, mining: Mining | None = None, *, margin: float = 0.1, seed: int = 0
    ) -> None:
        self.mining = mining or Mining()
        self.margin = margin
        self.seed = seed
        self.size = len(database)
        # one search serves both: a photo near enough to be a positive is no definite negative
        self._near = place_matches(queries, database, self.mining.negative_radius)
        self._positive = self._potential(database, queries)
        own = np.repeat(np.arange(len(queries)), np.diff(self._near.offsets))
        self._positive &= ~self._themselves(database, queries, own)
        if self.mining.positives == "verified":
            self._positive = confirmed(database, queries, self._near, self._positive, self.mining.confirmed)
        has_positive = np.bincount(own[self._positive], minlength=len(queries)) > 0
        has_negative = np.diff(self._near.offsets) < self.size
        self.usable = np.flatnonzero(has_positive & has_negative)
        if not len(self.usable):
            raise PlacesError(self._refusal(queries, own, has_positive))
        self.remembered = np.full((len(queries), self.mining.cached_negatives), -1, np.int64)
        self._drawn: tuple[tuple[int, int], IntArray] | None = None

    def order(self, epoch: int) -> IntArray:
        """The usable queries in the random order of an epoch."""
        return np.random.default_rng([self.seed, 0, epoch]).permutation(self.usable)

    def positives(self, query: int) -> IntArray:
        """Database rows that are potential positives of `query`, nearest in space first."""
        mine = slice(self._near.offsets[query], self._near.offsets[query + 1])
        return np.asarray(self._near.ids[mine][self._positive[mine]])

    def random_negatives(self, query: int, epoch: int, block: int | None = None) -> IntArray:
        """Up to `sample` definite negatives of `query`, drawn uniformly without replacement.

        block: all queries of one block of an epoch share a draw, without what is near each.
        """
        near, _ = self._near.of(query)
        # draw as many more as there are near ones, all of which may be drawn
        wanted = min(self.size, self.mining.sample + len(near))
        if block is None:
            drawn = np.random.default_rng([self.seed, 1, epoch, query]).choice(self.size, wanted, replace=False)
        else:
            drawn = self._shared_draw(epoch, block)[:wanted]
        definite: IntArray = drawn[~np.isin(drawn, near)]
        return definite[: self.mining.sample]

    def _shared_draw(self, epoch: int, block: int) -> IntArray:
        """All database rows in the random order of a block, drawn once for all its queries."""
        if self._drawn is None or self._drawn[0] != (epoch, block):
            rng = np.random.default_rng([self.seed, 3, epoch, block])
            self._drawn = (epoch, block), rng.permutation(self.size)
        return self._drawn[1]

    def candidates(self, query: int, epoch: int, block: int | None = None) -> IntArray:
        """The negatives that `mine` chooses from, drawn and remembered, in the order of rows."""
        remembered = self.remembered[query]
        return np.union1d(remembered[remembered >= 0], self.random_negatives(query, epoch, block))

    def needed(self, queries: IntArray, epoch: int, block: int) -> IntArray:
        """Database rows whose descriptors `mine` needs for the queries of a block."""
        each = [np.union1d(self.positives(q), self.candidates(q, epoch, block)) for q in queries]
        return np.unique(np.concatenate(each))

    def mine(
        self, query: int, epoch: int, distances: Callable[[IntArray], FloatArray], block: int | None = None
    ) -> Tuple | None:
        """The tuple of `query`, None where no negative violates the margin.

        distances: database rows (n,) -> squared distances (n,) of the query to their cached descriptors, not finite for
        unreadable photos, which are left out.
        """
        rows = self.positives(query)
        far = _finite(distances(rows))
        positive = int(rows[np.argmin(far)])
        limit = far.min() + self.margin
        rows = self.candidates(query, epoch, block)
        far = _finite(distances(rows))
        order = np.argsort(far, kind="stable")[: self.mining.hard]
        order = order[np.isfinite(far[order])]
        rows, far = rows[order], far[order]
        keep = rows[: self.mining.cached_negatives]
        self.remembered[query] = -1
        self.remembered[query, : len(keep)] = keep
        violating = rows[far < limit][: self.mining.negatives]
        if not np.isfinite(limit) or not len(violating):
            return None
        return Tuple(query, positive, violating)

    def _potential(self, database: Places, queries: Places) -> BoolArray:
        """Whether each pair in `_near` is a potential positive."""
        near, rule = self._near, self.mining
        positive = near.metres <= rule.positive_radius
        if rule.apart is not None:
            positive &= near.metres > rule.apart
        positive |= np.isnan(near.metres)  # these share a label
        own = np.repeat(moments(queries, rule.positives), np.diff(near.offsets))
        return np.asarray(positive & agree(rule.positives, own, moments(database, rule.positives)[near.ids]))

    def _themselves(self, database: Places, queries: Places, own: IntArray) -> BoolArray:
        """Whether each pair in `_near` that could be a positive is a photo and itself."""
        same = np.zeros(len(own), bool)
        at = np.flatnonzero(self._positive)
        same[at] = database.path[self._near.ids[at]] == queries.path[own[at]]
        return same

    def _refusal(self, queries: Places, own: IntArray, has_positive: BoolArray) -> str:
        """Why no query has a tuple."""
        rule, near = self.mining, self._near
        labelled = np.isnan(near.metres)
        within = (near.metres <= rule.positive_radius) | labelled
        apart = within if rule.apart is None else within & ((near.metres > rule.apart) | labelled)
        total, close, distinct = len(queries), len(np.unique(own[within])), len(np.unique(own[apart]))
        if not total or not self.size:
            return f"nothing to train on: {self.size} database photos and {total} queries"
        if has_positive.any():
            return (
                f"no query has a definite negative: all database photos lie within {rule.negative_radius:g} m of each "
                "query; photos of more places are wanted"
            )
        if not close:
            reason = f"no database photo lies within {rule.positive_radius:g} m of any"
        elif not distinct:
            reason = (
                f"{close} have database photos within {rule.positive_radius:g} m, but all of those within "
                f"{rule.apart:g} m, as cut-outs of the same panorama are; are all positions equal?"
            )
        else:
            wanted = {"other-date": "of another date (a Time Machine)", "same-date": "of the same date"}
            wanted["other-light"] = "of the other light (one by day, one by night)"
            wanted["any"] = "another photo than itself"
            wanted["verified"] = f"confirmed by {rule.confirmed or 'local features'}"
            reason = f"{distinct} have database photos near enough, but none that is {wanted[rule.positives]}"
        return f"none of the {total} queries has a potential positive: {reason}"


def moments(places: Places, rule: str) -> Array:
    """The date of each photo (N,), or for "other-light" 1 by night and 0 by day; unknown ones are NaT or NaN."""
    if rule != "other-light":
        return dates(places)
    sun = elevation(places)
    return np.where(sun < NIGHT, 1.0, np.where(sun > DAY, 0.0, np.nan))


def agree(rule: str, own: Array, theirs: Array) -> BoolArray:
    """Whether the rule lets photos be positives of each other, given their `moments`; arrays broadcast."""
    if rule in ("any", "verified"):
        return np.ones(np.broadcast(own, theirs).shape, bool)
    # NaT and NaN equal nothing, themselves included
    same: BoolArray = own == theirs
    return same if rule == "same-date" else ~same & (own == own) & (theirs == theirs)


def _finite(distances: FloatArray) -> FloatArray:
    return np.where(np.isfinite(distances), distances, np.inf)
