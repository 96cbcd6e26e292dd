"""What the scores of a frame say: how much more likely each is of the same place than of any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.errors import NetvladError
from netvlad.types import Array, BoolArray, FloatArray

NEW = 0.5  # probability, before a frame is seen, that it shows a place that the map does not have


@dataclass(frozen=True)
class Evidence:
    """log p(score | this place) / p(score | another) = slope * contrast + offset.

    The contrast of a score is how far it stands above the median of the frame's best rows, so that what darkens all
    scores, such as night, says nothing.
    """

    slope: float
    offset: float

    def of(self, scores: FloatArray) -> Array:
        """Log likelihood ratios (..., k) float64 of scores (..., k), larger is better; -inf, no row, stays."""
        return np.asarray(self.slope * contrast(scores) + self.offset)


DRIVE = Evidence(11.1, -1.1)  # learnt on a drive through a drawn town by day (benchmarks/robots.py)


def contrast(scores: FloatArray) -> Array:
    """Scores (..., k) above the median of those of their frame that are finite: float64; -inf stays."""
    known = np.isfinite(scores)
    if not scores.shape[-1]:
        return scores.astype(np.float64)
    held = np.where(known, scores.astype(np.float64), np.nan)
    some = known.any(axis=-1, keepdims=True)
    median = np.nanmedian(np.where(some, held, 0.0), axis=-1, keepdims=True)
    return np.where(known, held - median, -np.inf)


def fit_evidence(scores: FloatArray, same: BoolArray, size: int, new: float = NEW) -> Evidence:
    """Learn evidence from frames whose places are known, by maximum likelihood of single frames.

    scores (Q, k): of the best rows of each frame among `size` rows. same (Q, k): which of them show its place; a frame
    without any shows a new place. Raises NetvladError unless there are frames of both kinds.
    """
    known = np.asarray(same.any(axis=1))
    if not len(scores) or known.all() or not known.any():
        raise NetvladError("evidence is learnt from frames of known and of new places, and needs some of both")
    gaps = contrast(scores)
    reach = max(float(gaps[np.isfinite(gaps)].max()), 1e-6)
    slope, offset = 10.0 / reach, 0.0
    wide_slope, wide_offset = 3.0, 16.0  # slopes are searched for by factors, up to e**3 at first
    for _ in range(12):
        slopes = slope * np.exp(np.linspace(-wide_slope, wide_slope, 7))
        offsets = offset + np.linspace(-wide_offset, wide_offset, 7)
        likely = np.array([[_likelihood(gaps, same, known, a, b, size, new) for b in offsets] for a in slopes])
        i, j = np.unravel_index(likely.argmax(), likely.shape)
        slope, offset = float(slopes[i]), float(offsets[j])
        wide_slope, wide_offset = wide_slope / 2, wide_offset / 2
    return Evidence(slope, offset)


def _likelihood(
    gaps: Array, same: BoolArray, known: BoolArray, slope: float, offset: float, size: int, new: float
) -> float:
    rows = np.minimum(np.log((1 - new) / size) + slope * gaps + offset, 600)  # exp of more is no number
    ratio = np.exp(rows)
    right = np.where(known, (ratio * same).sum(axis=1), new)
    return float((np.log(np.maximum(right, 1e-300)) - np.log(ratio.sum(axis=1) + new)).sum())
