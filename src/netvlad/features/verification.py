"""Geometric verification: whether the matched local features of two photos agree on one geometry."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from netvlad.errors import NetvladError
from netvlad.features.local_features import LocalFeatures, kind_of
from netvlad.types import Array, BoolArray, FloatArray, IntArray

MODELS = {"homography": 4, "fundamental": 8}  # matches that determine each
LEAST = {"homography": 12, "fundamental": 20}  # inliers that photos of different places rarely have by chance
ROUNDS, CONFIDENCE = 2000, 0.999
BLOCK = 4096  # features compared with all of the other photo's at once


@dataclass(frozen=True, eq=False)
class Verified:
    """Matches that agree on one geometry.

    inliers (M, 2) int64: rows of the features of a and of b. matrix (3, 3) float64, None without inliers; with
    homogeneous x, y of a and of b, a homography gives b ~ matrix @ a, a fundamental matrix b.T @ matrix @ a = 0.
    """

    inliers: IntArray
    matrix: Array | None

    def __len__(self) -> int:
        return len(self.inliers)


def match(a: LocalFeatures, b: LocalFeatures, ratio: float | None = None) -> IntArray:
    """Pairs (M, 2) int64 of rows of `a` and `b` that are each other's nearest descriptor, in the order of `a`.

    A pair is kept where the nearest of b is nearer than `ratio` times the second nearest (L2; Hamming for binary ones;
    default: the kind's), and no farther than its kind allows. There is none where b has fewer than two descriptors, or
    where two are equally near. Raises NetvladError for features of two kinds.
    """
    if a.kind != b.kind:
        raise NetvladError(f"features of one kind are wanted on both sides, got {a.kind} and {b.kind}")
    if not len(a) or len(b) < 2:
        return np.empty((0, 2), np.int64)
    kind = kind_of(a.kind)
    ratio = kind.ratio if ratio is None else ratio
    nearest, back = np.empty(len(a), np.int64), np.empty(len(b), np.int64)
    first, second = np.empty((2, len(a)), np.float32)
    least = np.full(len(b), np.inf, np.float32)
    for start in range(0, len(a), BLOCK):
        squared = _squared_distances(a.descriptors[start : start + BLOCK], b.descriptors, kind.binary)
        block = slice(start, start + len(squared))
        own, other = np.arange(len(squared)), np.arange(len(b))
        nearest[block] = squared.argmin(axis=1)
        up = squared.argmin(axis=0)
        nearer = squared[up, other] < least
        back[nearer], least[nearer] = start + up[nearer], squared[up, other][nearer]
        first[block] = squared[own, nearest[block]]
        squared[own, nearest[block]] = np.inf
        second[block] = squared.min(axis=1)
    mutual = back[nearest] == np.arange(len(a))
    # between bits the squared L2 distance is the Hamming distance itself
    distinct = first < (ratio if kind.binary else ratio**2) * second
    rows = np.flatnonzero(mutual & distinct & (first < kind.farthest**2))
    return np.stack([rows, nearest[rows]], axis=1)


def _squared_distances(a: Array, b: Array, binary: bool) -> FloatArray:
    """(N, M) float32 by one matrix product."""
    if binary:
        a, b = (np.unpackbits(x, axis=1).astype(np.float32) for x in (a, b))
    squared: FloatArray = a @ b.T
    squared *= -2
    squared += np.einsum("ij,ij->i", a, a)[:, None]
    squared += np.einsum("ij,ij->i", b, b)
    return np.maximum(squared, 0, out=squared)


def verify(
    a: LocalFeatures, b: LocalFeatures, model: str = "homography", threshold: float = 4.0, ratio: float | None = None
) -> Verified:
    """Match `a` with `b` and keep the pairs that agree on one `model`, found by MAGSAC++ (Barath et al. 2020).

    model: "homography" for scenes that are far away or planar, "fundamental" for any static scene. threshold: largest
    error in pixels of a point, or of its distance from its epipolar line. The result is deterministic. There are no
    inliers among fewer than 4 pairs (fundamental: 8), nor where all inliers of a photo lie on a line to within the
    threshold, which determines no geometry. Raises NetvladError for an unknown model.
    """
    least = least_of(model)
    pairs = match(a, b, ratio)
    if len(pairs) < least:
        return _NOTHING
    from_a, to_b = a.points[pairs[:, 0]], b.points[pairs[:, 1]]
    matrix, agree = _estimate(from_a, to_b, model, threshold)
    if matrix is None or matrix.shape != (3, 3) or agree.sum() < least:
        return _NOTHING
    if _on_a_line(from_a[agree], threshold) or _on_a_line(to_b[agree], threshold):
        return _NOTHING
    return Verified(pairs[agree], matrix)


_NOTHING = Verified(np.empty((0, 2), np.int64), None)


def least_of(model: str) -> int:
    """Number of matches that determine a model. Raises NetvladError for an unknown one."""
    try:
        return MODELS[model]
    except KeyError:
        raise NetvladError(f"no geometry is called {model!r}; choose one of {', '.join(MODELS)}") from None


def _estimate(a: Array, b: Array, model: str, threshold: float) -> tuple[Array | None, BoolArray]:
    """The matrix, None where there is none, and whether each pair of points agrees with it."""
    # OpenCV's USAC seeds a generator of its own for each call and runs on one thread; cv2.setRNGSeed does not affect it
    try:
        if model == "homography":
            matrix, agree = cv2.findHomography(a, b, cv2.USAC_MAGSAC, threshold, maxIters=ROUNDS, confidence=CONFIDENCE)
        else:
            matrix, agree = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, threshold, CONFIDENCE, ROUNDS)
    except cv2.error:  # it asserts on some degenerate samples
        return None, np.zeros(len(a), bool)
    if matrix is None or agree is None:
        return None, np.zeros(len(a), bool)
    return matrix, agree.ravel().astype(bool)


def _on_a_line(points: FloatArray, threshold: float) -> bool:
    """Whether all `points` (n, 2) lie within `threshold` pixels of the line that fits them best."""
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return bool(np.abs(centred @ axes[1]).max() <= threshold)
