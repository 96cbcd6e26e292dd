from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netvlad.evaluation.recall import recall_at


def by_loop(correct, judged, ns):
    out = {}
    for n in ns:
        found = asked = 0
        for row, counts in zip(correct, judged, strict=True):
            if counts:
                asked += 1
                found += any(row[:n])
        out[n] = found / asked if asked else float("nan")
    return out


@st.composite
def rankings(draw):
    queries, k = draw(st.integers(0, 12)), draw(st.integers(1, 9))
    correct = draw(arrays.arrays(bool, (queries, k)))
    judged = draw(arrays.arrays(bool, queries))
    return correct, judged, draw(st.lists(st.integers(1, 15), max_size=5))


@given(rankings())
def test_it_is_a_loop(given):
    correct, judged, ns = given
    got = recall_at(correct, judged, ns)
    want = by_loop(correct.tolist(), judged.tolist(), ns)
    assert list(got) == list(dict.fromkeys(ns))
    assert got == pytest.approx(want, nan_ok=True)


def test_by_hand():
    correct = [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert recall_at(correct, [1, 1, 1, 1], [1, 2, 3]) == {1: 0.25, 2: 0.5, 3: 0.75}
    assert recall_at(correct, [1, 0, 0, 1], [1, 2, 3]) == {1: 0.0, 2: 0.5, 3: 1.0}


def test_of_a_short_ranking_all_counts():
    assert recall_at([[0], [1]], [True, True], [1, 5, 100]) == {1: 0.5, 5: 0.5, 100: 0.5}


@pytest.mark.parametrize("judged", [[], [False, False]])
def test_without_a_judged_query_there_is_no_recall(judged):
    got = recall_at(np.ones((len(judged), 3), bool), judged, [1, 10])
    assert list(got) == [1, 10]
    assert np.isnan(list(got.values())).all()


def test_numbers_are_plain():
    got = recall_at(np.eye(3, dtype=bool), np.ones(3, bool), np.array([1, 2]))
    assert all(type(share) is float for share in got.values())
