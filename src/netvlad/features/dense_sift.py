"""Dense RootSIFT: SIFT descriptors on a grid of points at several scales, no detection.

What DenseVLAD (Torii et al., CVPR 2015) is built on: PHOW features as VLFeat defines them (bin sizes 4, 6, 8, 10, a
point every 2 pixels, flat window), then RootSIFT (Arandjelovic and Zisserman 2012). Orientation maps are convolved
with the triangle of a spatial bin once; bins are even and points lie 2 apart, so all bins of all points are values of
one map at every other pixel, and a descriptor is 16 rows of 8 numbers gathered from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netvlad.errors import ImageError

BIN_SIZES = (4, 6, 8, 10)  # pixels a side of a spatial bin, of which a descriptor has 4 x 4
STEP = 2  # pixels between points
SMOOTHING = 6.0  # a bin size is so many standard deviations of the Gaussian before it
WINDOW = 1.5  # standard deviation of the Gaussian window over a descriptor, in bins
CONTRAST = 0.005  # mean weighted gradient, of grey values 0..1, below which there is nothing to describe
CLAMP = 0.2  # the largest number of a descriptor of unit length (Lowe 2004, section 6.1)
BINS, ORIENTATIONS = 4, 8
DIM = BINS * BINS * ORIENTATIONS
BLOCK = 2048  # descriptors computed at once: a megabyte, which stays in a processor's cache
SMALLEST = 1 + 3 * (max(BIN_SIZES) - min(BIN_SIZES)) // 2 + 3 * min(BIN_SIZES)  # pixels a side that hold one point


class Features(NamedTuple):
    """Points of one bin size: x, y (n,) float32 in pixels, where (0, 0) is the middle of the first pixel.

    descriptors: (n, 128) float32, RootSIFT, rows of unit length and none negative. Number `o + 8 * (column + 4 * row)`
    belongs to the spatial bin (row, column) and the gradient's direction o * 45 degrees, from right (0) over down (2).
    """

    x: np.ndarray
    y: np.ndarray
    bin_size: int
    descriptors: np.ndarray


def dense_sift(image: np.ndarray) -> Iterator[Features]:
    """RootSIFT at every point of the grid, in blocks, so that never all of them are in memory.

    image: uint8, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, where alpha 0 says that a pixel is undefined.
    Left out are points with less contrast than 0.005 and points whose descriptor an undefined pixel has part in. Points
    of all scales share their middles; the spatial bins' middles lie inside the image, so that photos below 31 pixels a
    side have fewer scales and those below 22 no points. Raises ImageError for any other array.
    """
    grey, defined = _grey(image)
    for size in BIN_SIZES:
        first = 3 * (max(BIN_SIZES) - size) // 2  # the middle of the first point's first bin
        columns, rows = (max(0, (side - 1 - first - 3 * size) // STEP + 1) for side in grey.shape[::-1])
        if columns and rows:
            yield from _of_size(grey, defined, size, first, columns, rows)


def _of_size(
    grey: np.ndarray, defined: np.ndarray | None, size: int, first: int, columns: int, rows: int
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
    for block in _blocks(np.flatnonzero(kept)):
        row, column = np.divmod(block, columns)
        found = np.empty((len(block), BINS * BINS, ORIENTATIONS), np.float32)
        # "clip" spares a copy; no index is out of bounds
        np.take(table, (row * width + column)[:, None] + offsets, axis=0, out=found, mode="clip")
        found = found.reshape(-1, DIM)
        found *= np.repeat(weights, ORIENTATIONS)
        _root(found, ceiling[row, column])
        x, y = (middle + STEP * index.astype(np.float32) for index in (column, row))
        yield Features(x, y, size, found)


def _root(x: np.ndarray, ceiling: np.ndarray) -> None:
    """Histograms (n, 128), in place, to RootSIFT; ceiling (n,): 0.2 of their lengths.

    SIFT is x / |x|, clamped at 0.2, of unit length again; RootSIFT the root of that over its sum. Neither length
    outlives the sum.
    """
    np.minimum(x, ceiling[:, None], out=x)
    scale = 1 / np.sqrt(x.sum(axis=1))
    np.sqrt(x, out=x)
    x *= scale[:, None]


def _blocks(indices: np.ndarray) -> Iterator[np.ndarray]:
    for i in range(0, len(indices), BLOCK):
        yield indices[i : i + BLOCK]


def smoothed(grey: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) float32 after a Gaussian of standard deviation `sigma` pixels, cut at 4 of them."""
    import cv2

    side = 2 * math.ceil(4 * sigma) + 1
    return cv2.GaussianBlur(grey, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)


def orientation_maps(grey: np.ndarray) -> np.ndarray:
    """(H, W) float32 -> (H, W, 8): each pixel's gradient, shared by the two directions nearest to its own."""
    import torch

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


def binned(maps: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 8) -> (H, W, 8): sums under a triangle of height 1 that reaches zero `size` pixels away.

    That is the bilinear sharing of a gradient between spatial bins, seen from the bin.
    """
    import cv2

    triangle = 1 - np.abs(np.arange(1 - size, size, dtype=np.float32)) / size
    return cv2.sepFilter2D(maps, cv2.CV_32F, triangle, triangle, borderType=cv2.BORDER_REPLICATE)


def bin_weights(size: int) -> np.ndarray:
    """(4,) float32: the mean of the Gaussian window over each bin along one axis, in place of the window itself."""
    middles = size * (np.arange(BINS) - (BINS - 1) / 2)
    z = (np.arange(1 - size, size) - middles[:, None]) / (WINDOW * size)
    return np.exp(-0.5 * z**2).mean(axis=1).astype(np.float32)


def untouched(defined: np.ndarray, size: int) -> np.ndarray:
    """(H, W) bool: whether no undefined pixel has part in the descriptor around a pixel.

    Part have the pixels under its bins (1.5 + 1 bin sizes from the middle), under the gradients at their edge, and
    under the smoothing. The triangle is zero at a bin size's distance, which makes up for the pixel a gradient adds.
    """
    import cv2

    reach = 3 * size // 2 + size + math.ceil(4 * size / SMOOTHING)
    return cv2.erode(defined.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool)


def _grey(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) float32 in 0..1, and (H, W) bool where alpha is not 0, None where that is everywhere."""
    import cv2

    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ImageError(f"an image array must be HxW, HxWx3 or HxWx4 uint8, got {image.shape} {image.dtype}")
    defined = image[..., 3] > 0 if channels == 4 else None
    if defined is not None and defined.all():
        defined = None
    if channels == 1:
        grey = image.reshape(image.shape[:2])
    else:
        grey = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    return grey.astype(np.float32) / 255, defined
