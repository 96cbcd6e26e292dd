"""Cells of feature maps, and the strongest of their pairs."""

from __future__ import annotations

import numpy as np

from netvlad.explanation.result import Pair
from netvlad.types import FloatArray, IntArray

LONGEST = 16  # cells along the longer side: 192 of a photo of 4:3
PAIRS = 10


def grid(height: int, width: int) -> tuple[int, int, IntArray]:
    """Rows and columns of cells for a map, and the number of each location's cell, (height, width).

    Cells are blocks of as many locations as bring both to 16 at most.
    """
    side = -(-max(height, width) // LONGEST)
    rows, columns = -(-height // side), -(-width // side)
    row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
    return rows, columns, row[:, None] * columns + column


def strongest(table: FloatArray, count: int = PAIRS) -> tuple[Pair, ...]:
    """The pairs of cells that add most in a table (r, c, r', c'), at most `count`, all of which add more than 0.

    Of pairs that touch in either photo only the strongest counts.
    """
    left, (r, c, r2, c2) = table.astype(np.float64), table.shape
    pairs: list[Pair] = []
    while len(pairs) < count:
        i, j, i2, j2 = np.unravel_index(left.argmax(), left.shape)
        share = float(left[i, j, i2, j2])
        if not share > 0:
            break
        pairs.append(Pair(_middle(i, j, r, c), _middle(i2, j2, r2, c2), share))
        left[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] = -np.inf
        left[:, :, max(0, i2 - 1) : i2 + 2, max(0, j2 - 1) : j2 + 2] = -np.inf
    return tuple(pairs)


def _middle(row: np.intp, column: np.intp, rows: int, columns: int) -> tuple[float, float]:
    return (float(column) + 0.5) / columns, (float(row) + 0.5) / rows
