"""recall@N (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def recall_at(correct: np.ndarray, judged: np.ndarray, ns: Sequence[int]) -> dict[int, float]:
    """N -> share, 0..1, of the `judged` (Q,) queries with at least one True among the first N of `correct` (Q, k).

    NaN where no query is judged. Where a ranking is shorter than N, all of it counts.
    """
    judged = np.asarray(judged, bool)
    if not judged.any():
        return {n: float("nan") for n in ns}
    hits = np.logical_or.accumulate(np.asarray(correct, bool)[judged], axis=1)
    return {n: float(hits[:, min(n, hits.shape[1]) - 1].mean()) for n in ns}
