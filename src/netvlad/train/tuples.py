"""Tuples for training from positions alone: potential positives and definite negatives (paper, section 4).

Positions say only who is certainly elsewhere. A query's tuple is its best potential positive and its hardest definite
negatives, both by the descriptors as they were at the last refresh of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netvlad.errors import NetvladError, PlacesError
from netvlad.places import Places, PlaceTree
from netvlad.places.visits import dates

RULES = ("any", "other-date", "same-date")


@dataclass(frozen=True)
class Mining:
    """What counts as a positive and a negative, in the paper's numbers (section 4, appendix A).

    positives: "any"; "other-date" is the Time Machine: a positive is of another calendar date than the query;
    "same-date" is a set without one. A photo of unknown date is of neither.
    within, apart: a potential positive is within so many metres, and farther than `apart` (cut-outs of the same
    panorama teach nothing; None: any distance, for photos that do not come from panoramas).
    elsewhere: a definite negative is farther than so many metres.
    sample: definite negatives drawn for a query, joined by the `remembered` nearest of its last visit; of all these
    the `hard` nearest are kept, and at most `used` that violate the margin make the tuple.
    """

    positives: str = "any"
    within: float = 10.0
    apart: float | None = 1.0
    elsewhere: float = 25.0
    sample: int = 1000
    remembered: int = 10
    hard: int = 100
    used: int = 10

    def __post_init__(self) -> None:
        if self.positives not in RULES:
            raise NetvladError(f"no rule for positives is called {self.positives!r}; choose one of {', '.join(RULES)}")
        if not (self.apart or 0) < self.within <= self.elsewhere:
            raise NetvladError(
                f"positives between {self.apart} and {self.within} m and negatives beyond {self.elsewhere} m: "
                "apart < within <= elsewhere is wanted"
            )
        if min(self.sample, self.hard, self.used) < 1 or self.remembered < 0:
            raise NetvladError("sample, hard and used count from 1, remembered from 0")


@dataclass(frozen=True)
class Tuple:
    """Rows: `query` of the queries, `positive` and `negatives` (n,) of the database, nearest first."""

    query: int
    positive: int
    negatives: np.ndarray


class Tuples:
    """Mines tuples of `queries` against `database`; the same seed gives the same tuples.

    `usable` (U,) int64: the queries with a potential positive and a definite negative; the others are skipped.
    Raises PlacesError when there is none, saying what is in the way.
    """

    def __init__(self, database: Places, queries: Places, mining: Mining | None = None, *, margin=0.1, seed: int = 0):
        self.mining = mining or Mining()
        self.margin = margin
        self.seed = seed
        self.size = len(database)
        # one search serves both: whoever is near enough to be a positive is no definite negative either
        self._near = PlaceTree(database).within(queries, self.mining.elsewhere)
        self._positive = self._potential(database, queries)
        own = np.repeat(np.arange(len(queries)), np.diff(self._near.offsets))
        has_positive = np.bincount(own[self._positive], minlength=len(queries)) > 0
        has_negative = np.diff(self._near.offsets) < self.size
        self.usable = np.flatnonzero(has_positive & has_negative)
        if not len(self.usable):
            raise PlacesError(self._refusal(queries, own, has_positive))
        self._remembered = np.full((len(queries), self.mining.remembered), -1, np.int64)

    def order(self, epoch: int) -> np.ndarray:
        """The usable queries in the random order of an epoch."""
        return np.random.default_rng([self.seed, 0, epoch]).permutation(self.usable)

    def positives(self, query: int) -> np.ndarray:
        """Database rows that are potential positives of `query`, nearest in space first."""
        mine = slice(self._near.offsets[query], self._near.offsets[query + 1])
        return self._near.ids[mine][self._positive[mine]]

    def random_negatives(self, query: int, epoch: int) -> np.ndarray:
        """Up to `sample` definite negatives of `query`, none twice, each as likely as any other."""
        near, _ = self._near.of(query)
        rng = np.random.default_rng([self.seed, 1, epoch, query])
        # so many more than wanted that enough are left when every near one is drawn
        drawn = rng.choice(self.size, min(self.size, self.mining.sample + len(near)), replace=False)
        return drawn[~np.isin(drawn, near)][: self.mining.sample]

    def mine(self, query: int, epoch: int, distances: Callable[[np.ndarray], np.ndarray]) -> Tuple | None:
        """The tuple of `query`, None where no negative violates the margin.

        distances(rows (n,)) -> (n,) squared distances of the query to database rows by their cached descriptors; what
        is not finite belongs to a photo that cannot be read, and is left out.
        """
        rows = self.positives(query)
        far = _finite(distances(rows))
        positive = int(rows[np.argmin(far)])
        limit = far.min() + self.margin
        remembered = self._remembered[query]
        rows = np.union1d(remembered[remembered >= 0], self.random_negatives(query, epoch))
        far = _finite(distances(rows))
        order = np.argsort(far, kind="stable")[: self.mining.hard]
        order = order[np.isfinite(far[order])]
        rows, far = rows[order], far[order]
        keep = rows[: self.mining.remembered]
        self._remembered[query] = -1
        self._remembered[query, : len(keep)] = keep
        violating = rows[far < limit][: self.mining.used]
        if not np.isfinite(limit) or not len(violating):
            return None
        return Tuple(query, positive, violating)

    def _potential(self, database: Places, queries: Places) -> np.ndarray:
        """Which of the pairs in `_near` are potential positives, bool."""
        near, rule = self._near, self.mining
        positive = near.metres <= rule.within
        if rule.apart is not None:
            positive &= near.metres > rule.apart
        if rule.positives == "any":
            return positive
        theirs = dates(database)[near.ids]
        own = np.repeat(dates(queries), np.diff(near.offsets))
        if rule.positives == "same-date":
            return positive & (theirs == own)  # NaT equals nothing
        return positive & (theirs != own) & ~np.isnat(theirs) & ~np.isnat(own)

    def _refusal(self, queries: Places, own: np.ndarray, has_positive: np.ndarray) -> str:
        rule, near = self.mining, self._near
        within = near.metres <= rule.within
        apart = within if rule.apart is None else within & (near.metres > rule.apart)
        total, close, distinct = len(queries), len(np.unique(own[within])), len(np.unique(own[apart]))
        if not total or not self.size:
            return f"nothing to train on: {self.size} database photos and {total} queries"
        if has_positive.any():
            return (
                f"no query has a definite negative: all database photos lie within {rule.elsewhere:g} m of each query; "
                "photos of more places are wanted"
            )
        if not close:
            reason = f"no database photo lies within {rule.within:g} m of any"
        elif not distinct:
            reason = (
                f"{close} have database photos within {rule.within:g} m, but all of those within {rule.apart:g} m, "
                "as cut-outs of the same panorama are; are all positions equal?"
            )
        else:
            wanted = {"other-date": "of another date (a Time Machine)", "same-date": "of the same date"}
            reason = f"{distinct} have database photos near enough, but none that is {wanted[rule.positives]}"
        return f"none of the {total} queries has a potential positive: {reason}"


def _finite(distances: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(distances), distances, np.inf)
