"""Explanation by occlusion, as in the paper's figures: what is lost where a window covers a part of a photo.

It looks at any describer from outside (Zeiler and Fergus, ECCV 2014), for as many forward passes as there are windows.
Norms are not held fixed, and what a window covers changes descriptors beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netvlad.explanation.result import Explanation
from netvlad.images.read import read_image
from netvlad.runtime.progress import progress
from netvlad.types import Array, Describer, FloatArray, ImageLike

STEPS = 12  # of the window along the longer side
COVERED = 2  # steps along each side of a window, so that neighbours overlap by half
AT_ONCE = 16  # photos described together


class Windows(NamedTuple):
    """Steps (rows, columns) of a photo; each window starts at one and covers up to two along each side."""

    rows: int
    columns: int

    def slices(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """The windows on an array of (height, width, ...), row by row."""
        down, right = (np.arange(n + 1) * side // n for n, side in ((self.rows, height), (self.columns, width)))
        for i in range(max(1, self.rows - COVERED + 1)):
            for j in range(max(1, self.columns - COVERED + 1)):
                last = min(self.rows, i + COVERED), min(self.columns, j + COVERED)
                yield slice(down[i], down[last[0]]), slice(right[j], right[last[1]])


def windows_of(height: int, width: int) -> Windows:
    """The windows for a photo of so many pixels."""
    rows, columns = (max(1, round(STEPS * side / max(height, width))) for side in (height, width))
    return Windows(min(rows, height), min(columns, width))


def explain_by_occlusion(model: Describer, query: ImageLike, match: ImageLike) -> Explanation:
    """Occlude each of two photos and compare with the other. Raises ImageError, ModelError."""
    images = [read_image(image, resize=model.resize, alpha=model.takes_masks) for image in (query, match)]
    vectors = np.concatenate([model.describe([image]) for image in images])  # alone: they may differ in size
    maps = []
    for image, other in zip(images, vectors[::-1], strict=True):
        windows = windows_of(*image.shape[:2])
        maps.append(_spread(occluded(model, image, other), windows))
    return Explanation(float(vectors[0] @ vectors[1]), False, maps[0], maps[1])


def occluded(model: Describer, image: Array, other: FloatArray) -> FloatArray:
    """What similarity to a vector `other` (dim,) is lost under each of `windows_of` an image (H, W, C), in order: (n,).

    Windows have the mean colour of the image.
    """
    similarity = model.describe([image])[0] @ other
    windows = list(windows_of(*image.shape[:2]).slices(*image.shape[:2]))
    colour = image[..., :3].reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    lost = np.empty(len(windows), np.float32)
    with progress("occluding", len(windows)) as advance:
        for first in range(0, len(windows), AT_ONCE):
            covered = []
            for rows, columns in windows[first : first + AT_ONCE]:
                copy = image.copy()
                copy[rows, columns, :3] = colour
                covered.append(copy)
            lost[first : first + len(covered)] = similarity - model.describe(covered) @ other
            advance(len(covered))
    return lost


def _spread(lost: FloatArray, windows: Windows) -> FloatArray:
    """(rows, columns): mean loss of the windows that cover each step."""
    total, count = np.zeros(windows), np.zeros(windows)
    for (rows, columns), value in zip(windows.slices(*windows), lost, strict=True):
        total[rows, columns] += value
        count[rows, columns] += 1
    return (total / count).astype(np.float32)
