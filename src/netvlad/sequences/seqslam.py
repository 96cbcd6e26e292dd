"""SeqSLAM's lines (Milford and Wyeth, ICRA 2012) through the best rows of each frame, without a matrix of all scores.

Scores of a frame are contrast-normalised, here over its best rows; the paper does so over the rows beside each, which
would need all of them. A row's value is the best mean along lines of constant speed that end in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netvlad.errors import NetvladError
from netvlad.sequences.averaging import check_length
from netvlad.types import Array, FloatArray, IntArray

SPEEDS = (-1.2, -1.0, -0.8, 0.8, 1.0, 1.2)  # rows of the map a frame; the paper's 0.8 to 1.2 in both directions


def contrast_normalised(scores: FloatArray) -> Array:
    """Scores (Q, k) less the mean of their frame, in standard deviations: float64; -inf, no row, stays."""
    known = np.isfinite(scores)
    held = np.where(known, scores, 0).astype(np.float64)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = held.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(known, held - mean, 0) ** 2).sum(axis=1, keepdims=True) / count)
    normal = np.divide(held - mean, spread, out=np.zeros_like(held), where=spread > 0)
    return np.where(known, normal, -np.inf)


def seqslam(
    ids: IntArray, scores: FloatArray, length: int = 10, speeds: Sequence[float] = SPEEDS
) -> tuple[IntArray, FloatArray]:
    """Order the best rows `ids` (Q, k), -1 for none, of frames in order of time by lines through the last `length`.

    The rows of the map are in order of time, too. Where a line meets a row that is not among the best of its frame, the
    least of the frame's scores stands for it; the first frames have shorter lines. Returns ids and scores (Q, k), best
    first. Length 1 gives the order of `scores`. Raises NetvladError for a length below 1, or without a speed.
    """
    check_length(length)
    if not len(speeds):
        raise NetvladError("lines need at least one speed, such as 1 row of the map a frame")
    frames, k = ids.shape
    normal = contrast_normalised(scores)
    if not frames or not k:
        return ids.copy(), normal.astype(np.float32)
    least = np.where(np.isfinite(normal), normal, np.inf).min(axis=1)
    least = np.where(np.isfinite(least), least, 0.0)
    size = int(ids.max(initial=0)) + 1
    numbers = np.arange(frames)[:, None] * size
    kept = ids >= 0
    keys = (numbers + ids)[kept]
    order = np.argsort(keys)
    keys, values = keys[order], normal[kept][order]
    best = np.full(ids.shape, -np.inf)
    for speed in speeds:
        total, count = np.zeros(ids.shape), np.zeros((frames, 1))
        for back in range(min(length, frames)):
            now = np.arange(back, frames)
            rows = ids[now] - round(speed * back)
            total[now] += _looked_up(keys, values, rows, numbers[now - back], size, least[now - back])
            count[now] += 1
        best = np.maximum(best, total / count)
    best = np.where(kept, best, -np.inf)
    turn = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(ids, turn, 1), np.take_along_axis(best, turn, 1).astype(np.float32)


def _looked_up(keys: Array, values: Array, rows: IntArray, numbers: IntArray, size: int, least: Array) -> Array:
    """Values (n, k) of `rows` among the best of frames that begin at `numbers` (n, 1) of `keys`, else `least` (n,)."""
    if not len(keys):
        return np.broadcast_to(least[:, None], rows.shape)
    wanted = rows + numbers
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = (keys[at] == wanted) & (rows >= 0) & (rows < size)
    return np.where(found, values[at], least[:, None])
