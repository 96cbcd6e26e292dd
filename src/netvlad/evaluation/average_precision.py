"""Average precision and precision@k of one ranking, as the benchmarks of image retrieval compute them."""

from __future__ import annotations

import numpy as np

from netvlad.types import Array, IntArray


def ranks_of(ids: IntArray, positives: IntArray, junk: IntArray | None = None) -> IntArray:
    """Ranks, from 0, of the positives in ranking `ids` (k,) after junk is removed: (P,) int64, ascending.

    -1 in `ids` stands for no row. A row that is both positive and junk is junk, as in the code of Oxford 5k.
    """
    ids = ids[ids >= 0]
    if junk is not None:
        ids = ids[~np.isin(ids, junk)]
    return np.flatnonzero(np.isin(ids, positives))


def average_precision(ranks: Array, positives: int) -> float:
    """Area under precision against recall, by trapezoids. ranks: of the positives, as from `ranks_of`.

    positives: their number, found or not. This is `compute_ap` of Oxford 5k and Paris 6k (Philbin et al. 2007), of
    Holidays and of their revisited versions; precision before the first photo is 1. NaN without positives.
    """
    if not positives:
        return float("nan")
    ranks = np.asarray(ranks, np.float64)
    before = np.arange(len(ranks))  # positives that stand before each
    after = (before + 1) / (ranks + 1)
    precision = np.divide(before, ranks, out=np.ones_like(ranks), where=ranks > 0)
    return float(np.sum(precision + after) / (2 * positives))


def precision_at(ranks: Array, k: int) -> float:
    """Share of positives among the first k, or up to the last positive if that comes sooner; 0 if none was found.

    Its mean is mP@k of Radenović et al. 2018 (revisited Oxford and Paris).
    """
    if not len(ranks):
        return 0.0
    cut = min(int(ranks[-1]) + 1, k)
    return float(np.sum(np.asarray(ranks) < cut) / cut)
