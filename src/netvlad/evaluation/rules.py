"""Rules of benchmarks that remove entries of a ranking before it is cut at N."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places, dates
from netvlad.types import Array, BoolArray, FloatArray, IntArray


def panorama_numbers(panorama: Array) -> IntArray:
    """Number the panoramas of names (D,): (D,) int64 from 0. A row without a name is a panorama of its own."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or row, len(numbers)) for row, name in enumerate(panorama)], np.int64)


def best_of_each(ids: IntArray, panorama: IntArray) -> BoolArray:
    """Whether each entry of rankings `ids` (Q, k) is the best cut-out of its panorama: bool (Q, k).

    panorama (D,): number of each database row's panorama. -1 stands for no row and is never kept.
    """
    of = np.where(ids >= 0, panorama[ids], -1)
    order = np.argsort(of, axis=1, kind="stable")  # the same panorama side by side, best first
    ordered = np.take_along_axis(of, order, axis=1)
    first = np.ones(ids.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    keep = np.empty(ids.shape, bool)
    np.put_along_axis(keep, order, first, axis=1)
    return keep & (ids >= 0)


def of_other_dates(ids: IntArray, query_dates: Array, database_dates: Array) -> BoolArray:
    """Whether each entry of rankings `ids` (Q, k) was taken on another date than the query: bool (Q, k).

    query_dates (Q,), database_dates (D,): datetime64[D]; an entry is kept where either is unknown (NaT). -1 stands for
    no row and is never kept.
    """
    other: BoolArray = database_dates[ids] != query_dates[:, None]  # NaT differs from all
    return (ids >= 0) & other


def first_kept(ids: IntArray, scores: FloatArray, keep: BoolArray, n: int) -> tuple[IntArray, FloatArray, IntArray]:
    """The first n kept entries of each ranking: ids (Q, n), padded by -1; scores (Q, n), by -inf; their number (Q,)."""
    rank = np.cumsum(keep, axis=1) - 1
    query, column = np.nonzero(keep & (rank < n))
    best = np.full((len(ids), n), -1, np.int64)
    score = np.full((len(ids), n), -np.inf, np.float32)
    best[query, rank[query, column]] = ids[query, column]
    score[query, rank[query, column]] = scores[query, column]
    return best, score, np.minimum(keep.sum(axis=1), n)


@dataclass(frozen=True)
class Rules:
    """The rules of one evaluation on a database of `size` rows.

    panorama (D,): number of each row's panorama, None where all cut-outs count. dates: datetime64[D] of the queries
    (Q,) and the database (D,), None where photos of the query's date count.
    """

    size: int
    panorama: IntArray | None = None
    dates: tuple[Array, Array] | None = None

    @classmethod
    def of(cls, protocol: Protocol, database: Places, queries: Places) -> Rules:
        """The rules of a protocol. Raises NetvladError where no photo has the panorama or time that a rule needs."""
        panorama = days = None
        if protocol.best_per_panorama:
            if not (database.panorama != "").any():
                raise NetvladError("no database photo tells its panorama: the best of each cannot be kept")
            panorama = panorama_numbers(database.panorama)
        if protocol.other_dates:
            days = dates(queries), dates(database)
            for day, which in zip(days, ("query", "database photo"), strict=True):
                if np.isnat(day).all():
                    raise NetvladError(f"no {which} has a time: photos of the query's date cannot be told")
        return cls(len(database), panorama, days)

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return self.panorama is not None or self.dates is not None

    def matched(self, near: Neighbours) -> BoolArray:
        """Whether each query has a true match that counts, bool (Q,). near: the correct rows of each."""
        found = np.diff(near.offsets)
        if self.dates is None:
            return np.asarray(found > 0, bool)
        of_queries, of_database = self.dates
        query = np.repeat(np.arange(len(near)), found)
        counts = of_other_dates(near.ids[:, None], of_queries[query], of_database)[:, 0]
        return np.bincount(query[counts], minlength=len(near)) > 0

    def depth(self, n: int) -> int:
        """How deep to rank for n entries: always enough for panoramas, mostly enough for dates.

        The n-th panorama appears at the latest after all cut-outs of n - 1 others. For dates 9 n more are ranked, as
        in the authors' code.
        """
        if not self.any:
            return n
        k = n
        if self.panorama is not None:
            largest = np.sort(np.bincount(self.panorama))[::-1]
            k = int(largest[: n - 1].sum()) + 1 if len(largest) >= n else self.size
        if self.dates is not None:
            of_queries, of_database = self.dates
            day, count = np.unique(of_database, return_counts=True)
            same = count[np.isin(day, of_queries)]
            k += min(9 * n, int(same.max(initial=0)))
        return min(k, self.size)

    def apply(
        self, ids: IntArray, scores: FloatArray, queries: IntArray, n: int, k: int
    ) -> tuple[IntArray, FloatArray, IntArray]:
        """Apply the rules to rankings of depth k of the queries in rows `queries` (R,).

        Returns `first_kept` ids and scores, (R, n), and the positions (S,), 0..R-1, of queries that came out short
        though their ranking went on.
        """
        keep = ids >= 0
        # -1 alone is not the end: an index may hold photos that are not of this database
        ended = np.isneginf(scores).any(axis=1) | (ids.shape[1] < k) | (keep.sum(axis=1) >= self.size)
        if self.dates is not None:
            of_queries, of_database = self.dates
            keep &= of_other_dates(ids, of_queries[queries], of_database)
        if self.panorama is not None:  # all cut-outs of one are of one date, but a table may say otherwise
            keep &= best_of_each(np.where(keep, ids, -1), self.panorama)
        best, score, found = first_kept(ids, scores, keep, n)
        return best, score, np.flatnonzero((found < n) & ~ended)
