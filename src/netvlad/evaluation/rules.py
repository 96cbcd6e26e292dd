"""Rules of benchmarks on what stands in a ranking before it is cut at N."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places, dates


def panorama_numbers(panorama: np.ndarray) -> np.ndarray:
    """Which panorama each row of names (D,) is of: (D,) int64 from 0; a row without a name is one of its own."""
    numbers: dict = {}
    return np.array([numbers.setdefault(name or row, len(numbers)) for row, name in enumerate(panorama)], np.int64)


def best_of_each(ids: np.ndarray, panorama: np.ndarray) -> np.ndarray:
    """Which entries of rankings `ids` (Q, k) stay when only the best cut-out of each panorama does: bool (Q, k).

    panorama (D,): number of each database row's panorama. -1 stands for no row and never stays.
    """
    of = np.where(ids >= 0, panorama[ids], -1)
    order = np.argsort(of, axis=1, kind="stable")  # the same panorama side by side, best first
    ordered = np.take_along_axis(of, order, axis=1)
    first = np.ones(ids.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    keep = np.empty(ids.shape, bool)
    np.put_along_axis(keep, order, first, axis=1)
    return keep & (ids >= 0)


def of_other_dates(ids: np.ndarray, query_dates: np.ndarray, database_dates: np.ndarray) -> np.ndarray:
    """Which entries of rankings `ids` (Q, k) were not taken on the query's date: bool (Q, k).

    query_dates (Q,), database_dates (D,): datetime64[D]; where either is unknown (NaT) nothing says that they are the
    same, and the entry stays. -1 stands for no row and never stays.
    """
    return (ids >= 0) & (database_dates[ids] != query_dates[:, None])  # NaT differs from all


def first_kept(
    ids: np.ndarray, scores: np.ndarray, keep: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first n entries of each ranking that are kept: ids (Q, n), -1 beyond; scores (Q, n), -inf; how many (Q,)."""
    rank = np.cumsum(keep, axis=1) - 1
    query, column = np.nonzero(keep & (rank < n))
    best = np.full((len(ids), n), -1, np.int64)
    score = np.full((len(ids), n), -np.inf, np.float32)
    best[query, rank[query, column]] = ids[query, column]
    score[query, rank[query, column]] = scores[query, column]
    return best, score, np.minimum(keep.sum(axis=1), n)


@dataclass(frozen=True)
class Rules:
    """The rules of one evaluation. panorama (D,), query_dates (Q,) and database_dates (D,): None without their rule."""

    size: int
    panorama: np.ndarray | None = None
    query_dates: np.ndarray | None = None
    database_dates: np.ndarray | None = None

    @classmethod
    def of(cls, protocol: Protocol, database: Places, queries: Places) -> Rules:
        """Errors: NetvladError where the photos lack what a rule goes by: it would be followed in name only."""
        panorama = asked = held = None
        if protocol.best_per_panorama:
            if not (database.panorama != "").any():
                raise NetvladError("no database photo tells its panorama: the best of each cannot be kept")
            panorama = panorama_numbers(database.panorama)
        if protocol.other_dates:
            asked, held = dates(queries), dates(database)
            for day, which in ((asked, "query"), (held, "database photo")):
                if np.isnat(day).all():
                    raise NetvladError(f"no {which} has a time: photos of the query's date cannot be told")
        return cls(len(database), panorama, asked, held)

    @property
    def any(self) -> bool:
        return self.panorama is not None or self.query_dates is not None

    def matched(self, near: Neighbours) -> np.ndarray:
        """Which queries have a true match that counts, bool (Q,), by the database rows near each."""
        found = np.diff(near.offsets)
        if self.query_dates is None:
            return found > 0
        query = np.repeat(np.arange(len(near)), found)
        counts = of_other_dates(near.ids[:, None], self.query_dates[query], self.database_dates)[:, 0]
        return np.bincount(query[counts], minlength=len(near)) > 0

    def depth(self, n: int) -> int:
        """How many to ask for first: surely enough for panoramas, mostly enough for dates, never beyond the database.

        n panoramas are found at the latest when n - 1 have shown all their cut-outs. Of dates 9 n more, as the
        authors' code fetches.
        """
        if not self.any:
            return n
        k = n
        if self.panorama is not None:
            largest = np.sort(np.bincount(self.panorama))[::-1]
            k = int(largest[: n - 1].sum()) + 1 if len(largest) >= n else self.size
        if self.query_dates is not None:
            day, count = np.unique(self.database_dates, return_counts=True)
            same = count[np.isin(day, self.query_dates)]
            k += min(9 * n, int(same.max(initial=0)))
        return min(k, self.size)

    def apply(
        self, ids: np.ndarray, scores: np.ndarray, queries: np.ndarray, n: int, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the rules leave of rankings of `queries` (R,) that k were asked for: `first_kept` n, and which of the
        R to ask for more: (S,) of 0..R-1, those that came out short though the ranking went on."""
        keep = ids >= 0
        # -1 alone is not the end: an index may hold photos that are not of this database
        ended = np.isneginf(scores).any(axis=1) | (ids.shape[1] < k) | (keep.sum(axis=1) >= self.size)
        if self.query_dates is not None:
            keep &= of_other_dates(ids, self.query_dates[queries], self.database_dates)
        if self.panorama is not None:  # all cut-outs of one are of one date, but a table may say otherwise
            keep &= best_of_each(np.where(keep, ids, -1), self.panorama)
        best, score, found = first_kept(ids, scores, keep, n)
        return best, score, np.flatnonzero((found < n) & ~ended)
