"""Average precision and precision@k of one ranking, as the benchmarks of image retrieval compute them."""

from __future__ import annotations

import numpy as np


def ranks_of(ids: np.ndarray, positives: np.ndarray, junk: np.ndarray | None = None) -> np.ndarray:
    """Where the positives stand in ranking `ids` (k,), from 0, when junk is taken out of it: (P,) int64, ascending.

    -1 in `ids` stands for no row. A row that is both positive and junk is junk, as in the code of Oxford 5k.
    """
    ids = ids[ids >= 0]
    if junk is not None:
        ids = ids[~np.isin(ids, junk)]
    return np.flatnonzero(np.isin(ids, positives))


def average_precision(ranks: np.ndarray, positives: int) -> float:
    """The area under precision against recall, by trapezoids, of `ranks` as `ranks_of` gives them.

    positives: how many there are, found or not. This is `compute_ap` of Oxford 5k and Paris 6k (Philbin et al. 2007),
    of Holidays and of their revisited versions; precision before the first photo is 1. NaN without positives.
    """
    if not positives:
        return float("nan")
    ranks = np.asarray(ranks, np.float64)
    before = np.arange(len(ranks))  # positives that stand before each
    after = (before + 1) / (ranks + 1)
    precision = np.divide(before, ranks, out=np.ones_like(ranks), where=ranks > 0)
    return float(np.sum(precision + after) / (2 * positives))


def precision_at(ranks: np.ndarray, k: int) -> float:
    """Share of positives among the first k, or up to the last positive where that comes sooner: mP@k of Radenović et
    al. 2018 (revisited Oxford and Paris). 0 where no positive was found."""
    if not len(ranks):
        return 0.0
    cut = min(int(ranks[-1]) + 1, k)
    return float(np.sum(np.asarray(ranks) < cut) / cut)
