from __future__ import annotations

import numpy as np
import pytest

from netvlad.explanation.cells import grid, strongest


@pytest.mark.parametrize(
    ("shape", "cells"), [((1, 1), (1, 1)), ((12, 16), (12, 16)), ((30, 40), (10, 14)), ((1, 33), (1, 11))]
)
def test_cells_are_blocks_of_locations(shape, cells):
    rows, columns, cell = grid(*shape)
    assert (rows, columns) == cells
    assert cell.shape == shape
    assert sorted(set(cell.ravel().tolist())) == list(range(rows * columns))
    for y in range(shape[0]):
        for x in range(shape[1]):
            assert cell[y, x] == (y * rows // shape[0]) * columns + x * columns // shape[1]


def test_pairs_are_apart_and_in_order():
    table = np.zeros((4, 6, 5, 5), np.float32)
    table[1, 1, 2, 2] = 5
    table[1, 2, 4, 4] = 4  # touches the first in the query
    table[3, 5, 3, 3] = 3  # touches the first in the match
    table[3, 4, 0, 4] = 2
    table[0, 5, 4, 0] = 1
    pairs = strongest(table)
    assert [pair.share for pair in pairs] == [5, 2, 1]
    assert pairs[0].query == (1.5 / 6, 1.5 / 4)
    assert pairs[1].match == (4.5 / 5, 0.5 / 5)
    assert [pair.share for pair in strongest(table, 2)] == [5, 2]


def test_what_disagrees_is_no_pair():
    assert strongest(np.full((2, 2, 2, 2), -1, np.float32)) == ()
