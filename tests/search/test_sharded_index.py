"""Several indexes asked as one."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.search.flat_index import FlatIndex
from netvlad.search.sharded_index import ShardedIndex

DIM = 4


class Rows:
    """Vectors as a table holds them."""

    dim = DIM

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def vectors(self, start: int = 0):
        yield self._vectors[start:]

    def fingerprint(self, rows: int) -> bytes:
        return b""

    def is_newest(self) -> bool:
        return False  # nothing is written


def flat(vectors: np.ndarray) -> FlatIndex:
    return FlatIndex(Rows(vectors), Path(tempfile.gettempdir()) / "none" / "search.faiss")


def cut(vectors: np.ndarray, ends: list[int]) -> ShardedIndex:
    parts = [vectors[first:end] for first, end in pairwise([0, *ends, len(vectors)])]
    return ShardedIndex([lambda part=part: flat(part) for part in parts], [len(part) for part in parts])


@st.composite
def asked(draw):
    """Vectors of few different ones, so that there are ties, cut anywhere, questions, k, and a mask or none."""
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vectors = rng.integers(-1, 2, (n, DIM)).astype(np.float32)
    ends = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    mask = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array))
    return vectors, ends, rng.integers(-1, 2, (3, DIM)).astype(np.float32), draw(st.integers(1, n + 3)), mask


@settings(max_examples=200, deadline=None)
@given(asked())
def test_it_answers_as_one_index_over_all(case):
    vectors, ends, queries, k, mask = case
    one, many = flat(vectors), cut(vectors, ends)
    squared, rows = one.search(queries, k, mask)
    found, ids = many.search(queries, k, mask)
    np.testing.assert_array_equal(ids, rows)
    np.testing.assert_array_equal(found, squared)
    some = np.random.default_rng(0).permutation(len(vectors))
    np.testing.assert_array_equal(many.vectors(some), one.vectors(some))


def test_only_what_a_mask_leaves_is_opened_and_a_whole_shard_needs_no_mask():
    vectors = np.eye(6, DIM, dtype=np.float32)
    seen = []

    class Watched:
        def __init__(self, part: int) -> None:
            self.part, self.flat = part, flat(vectors[2 * part : 2 * part + 2])

        def search(self, asked, k, among=None):
            seen.append((self.part, None if among is None else among.tolist()))
            return self.flat.search(asked, k, among)

    index = ShardedIndex([lambda i=i: Watched(i) for i in range(3)], [2, 2, 2])
    mask = np.array([False, False, True, True, True, False])
    rows = index.search(vectors[:1], 6, mask)[1]
    assert sorted(seen) == [(1, None), (2, [True, False])]
    assert sorted(rows[0].tolist()) == [-1, -1, -1, 2, 3, 4]
    seen.clear()
    mask[:] = [True, False, False, False, False, False]  # the same mask has changed
    assert index.search(vectors[:1], 1, mask)[1].tolist() == [[0]]
    assert seen == [(0, [True, False])]


def test_an_error_of_one_is_that_of_all():
    def broken():
        raise OSError("gone")

    index = ShardedIndex([lambda: flat(np.zeros((2, DIM), np.float32)), broken], [2, 2])
    with pytest.raises(OSError, match="gone"):
        index.search(np.zeros((1, DIM), np.float32), 1)
