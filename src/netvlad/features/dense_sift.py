"""Dense RootSIFT: SIFT descriptors on a grid of points at several scales, no detection.

The local features of DenseVLAD (Torii et al., CVPR 2015): PHOW as VLFeat defines it (bin sizes 4, 6, 8, 10, a point
every 2 pixels, flat window), then RootSIFT (Arandjelovic and Zisserman 2012). Orientation maps are convolved with the
triangle of a spatial bin once. Bin sizes are even and points lie 2 pixels apart, so all bins of all points are values
of one map at every other pixel, and a descriptor is 16 rows of 8 numbers gathered from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch

from netvlad.features.local_features import grey_and_defined
from netvlad.types import Array, BoolArray, FloatArray

BIN_SIZES = (4, 6, 8, 10)  # pixels a side of a spatial bin, of which a descriptor has 4 x 4
STEP = 2  # pixels between points
SMOOTHING = 6.0  # bin size in standard deviations of the Gaussian before it
WINDOW = 1.5  # standard deviation of the Gaussian window over a descriptor, in bins
CONTRAST = 0.005  # mean weighted gradient, of grey values 0..1, below which there is nothing to describe
CLAMP = 0.2  # the largest number of a descriptor of unit length (Lowe 2004, section 6.1)
WHOLE = 512  # what VLFeat multiplies a number of a SIFT by before it keeps the whole part, up to 255
BINS, ORIENTATIONS = 4, 8
DIM = BINS * BINS * ORIENTATIONS
BLOCK = 2048  # descriptors computed at once: a megabyte, which fits a processor's cache
SMALLEST = 1 + 3 * (max(BIN_SIZES) - min(BIN_SIZES)) // 2 + 3 * min(BIN_SIZES)  # pixels a side that hold one point


class Features(NamedTuple):
    """Points of one bin size: x, y (n,) float32 in pixels, (0, 0) is the centre of the first pixel.

    descriptors: (n, 128) float32, RootSIFT, rows of unit length and none negative. Number `o + 8 * (column + 4 * row)`
    belongs to the spatial bin (row, column) and the gradient's direction o * 45 degrees, from right (0) over down (2).
    """

    x: FloatArray
    y: FloatArray
    bin_size: int
    descriptors: FloatArray


def dense_sift(image: Array, *, rounded: bool = False) -> Iterator[Features]:
    """Yield RootSIFT at the points of the grid, in blocks, so that never all of them are in memory.

    image: uint8, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, where pixels with alpha 0 are undefined. Points with
    less contrast than 0.005 are left out, and points whose descriptor depends on an undefined pixel. Points of all
    scales share their centres. The centres of spatial bins lie inside the image, so that photos below 31 pixels a side
    have fewer scales and those below 22 no points. rounded: take the root of SIFT in bytes, as VLFeat returns it unless
    told otherwise. Raises ImageError for any other array.
    """
    values, defined = grey_and_defined(image)
    grey = values.astype(np.float32)
    grey /= 255
    for size in BIN_SIZES:
        first = 3 * (max(BIN_SIZES) - size) // 2  # the middle of the first point's first bin
        columns, rows = (max(0, (side - 1 - first - 3 * size) // STEP + 1) for side in grey.shape[::-1])
        if columns and rows:
            yield from _of_size(grey, defined, size, first, columns, rows, rounded)


def _of_size(
    grey: FloatArray, defined: BoolArray | None, size: int, first: int, columns: int, rows: int, rounded: bool
) -> Iterator[Features]:
    maps = binned(orientation_maps(smoothed(grey, size / SMOOTHING)), size)[first::STEP, first::STEP]
    apart = size // STEP  # of neighbouring bins, on the map
    starts = [(i * apart, j * apart) for i in range(BINS) for j in range(BINS)]
    mean = bin_weights(size)
    weights = np.outer(mean, mean).ravel()
    # sums over a descriptor's 128 numbers come from sums over the map's 8, for all points at once
    mass, power = maps.sum(axis=2), np.square(maps).sum(axis=2)
    total, squares = (
        sum(w * part[i : i + rows, j : j + columns] for w, (i, j) in zip(ws, starts, strict=True))
        for ws, part in ((weights, mass), (weights**2, power))
    )
    kept = total >= CONTRAST * (3 * size + 1) ** 2
    middle = first + 3 * size // 2
    if defined is not None:
        kept &= untouched(defined, size)[middle::STEP, middle::STEP][:rows, :columns]
    width = maps.shape[1]
    table = np.ascontiguousarray(maps).reshape(-1, ORIENTATIONS)
    offsets = np.array([i * width + j for i, j in starts])
    ceiling = CLAMP * np.sqrt(squares)
    points = np.flatnonzero(kept)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        row, column = np.divmod(block, columns)
        bins = np.empty((len(block), BINS * BINS, ORIENTATIONS), np.float32)
        # "clip" saves a copy; no index is out of bounds
        np.take(table, (row * width + column)[:, None] + offsets, axis=0, out=bins, mode="clip")
        found = bins.reshape(-1, DIM)
        found *= np.repeat(weights, ORIENTATIONS)
        np.minimum(found, ceiling[row, column][:, None], out=found)
        if rounded:
            _round(found)
        _root(found)
        x, y = (middle + STEP * index.astype(np.float32) for index in (column, row))
        yield Features(x, y, size, found)


def _round(x: FloatArray) -> None:
    """Turn clamped histograms (n, 128) into SIFT in whole numbers of 0 to 255, in place."""
    x *= WHOLE / np.linalg.norm(x, axis=1, keepdims=True)
    np.floor(x, out=x)
    np.minimum(x, 255, out=x)


def _root(x: FloatArray) -> None:
    """Turn histograms (n, 128), clamped at 0.2 of their lengths, into RootSIFT, in place.

    SIFT is x / |x|, clamped at 0.2, scaled to unit length again; RootSIFT is the root of that over its sum. Division by
    the sum cancels both lengths.
    """
    scale = 1 / np.sqrt(x.sum(axis=1))
    np.sqrt(x, out=x)
    x *= scale[:, None]


def smoothed(grey: FloatArray, sigma: float) -> Array:
    """(H, W) float32 after a Gaussian of standard deviation `sigma` pixels, cut at 4 of them."""
    side = 2 * math.ceil(4 * sigma) + 1
    return cv2.GaussianBlur(grey, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)


def orientation_maps(grey: Array) -> FloatArray:
    """(H, W) float32 -> (H, W, 8): each pixel's gradient, shared between the two nearest directions."""
    dy, dx = np.gradient(grey)
    length = np.sqrt(dx * dx + dy * dy)
    angle = torch.atan2(torch.from_numpy(dy), torch.from_numpy(dx)).numpy()  # numpy's takes five times as long
    turn = angle.ravel() * np.float32(ORIENTATIONS / (2 * np.pi))
    lower = np.floor(turn)
    share = (turn - lower) * length.ravel()
    index = lower.astype(np.int64) % ORIENTATIONS
    maps = np.zeros((grey.size, ORIENTATIONS), np.float32)
    pixel = np.arange(grey.size)
    maps[pixel, index] = length.ravel() - share
    maps[pixel, (index + 1) % ORIENTATIONS] = share
    return maps.reshape(*grey.shape, ORIENTATIONS)


def binned(maps: FloatArray, size: int) -> Array:
    """(H, W, 8) -> (H, W, 8): sums under a triangle of height 1 that reaches zero `size` pixels away.

    This is the bilinear sharing of gradients between spatial bins, from the bin's side.
    """
    triangle = 1 - np.abs(np.arange(1 - size, size, dtype=np.float32)) / size
    return cv2.sepFilter2D(maps, cv2.CV_32F, triangle, triangle, borderType=cv2.BORDER_REPLICATE)


def bin_weights(size: int) -> FloatArray:
    """(4,) float32: mean of the Gaussian window over each bin along one axis, used instead of the window itself."""
    middles = size * (np.arange(BINS) - (BINS - 1) / 2)
    z = (np.arange(1 - size, size) - middles[:, None]) / (WINDOW * size)
    weights: FloatArray = np.exp(-0.5 * z**2).mean(axis=1).astype(np.float32)
    return weights


def untouched(defined: BoolArray, size: int) -> BoolArray:
    """(H, W) bool: whether the descriptor around a pixel depends on no undefined pixel.

    It depends on the pixels under its bins (1.5 + 1 bin sizes from the centre), under the gradients at their edge, and
    under the smoothing. The triangle is zero at a bin size's distance, which offsets the pixel that a gradient adds.
    """
    reach = 3 * size // 2 + size + math.ceil(4 * size / SMOOTHING)
    return cv2.erode(defined.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool)
