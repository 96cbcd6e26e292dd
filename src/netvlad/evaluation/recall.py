"""recall@N (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netvlad.types import BoolArray


def recall_at(correct: BoolArray, judged: BoolArray, ns: Sequence[int]) -> dict[int, float]:
    """N -> share, 0..1, of the `judged` (Q,) queries that have a True among the first N entries of `correct` (Q, k).

    NaN where no query is judged. Of a ranking shorter than N all entries count.
    """
    judged = np.asarray(judged, bool)
    if not judged.any():
        return {n: float("nan") for n in ns}
    hits = np.logical_or.accumulate(np.asarray(correct, bool)[judged], axis=1)
    return {n: float(hits[:, min(n, hits.shape[1]) - 1].mean()) for n in ns}
