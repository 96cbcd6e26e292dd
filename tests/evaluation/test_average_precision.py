from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.evaluation.average_precision import average_precision, precision_at, ranks_of


def of_oxford(ranking, positives, junk) -> float:
    """compute_ap.cpp as Oxford 5k hands it out, line for line."""
    old_recall, old_precision, ap, found, j = 0.0, 1.0, 0.0, 0, 0
    for photo in ranking:
        if photo in junk:
            continue
        if photo in positives:
            found += 1
        recall = found / len(positives)
        precision = found / (j + 1.0)
        ap += (recall - old_recall) * ((old_precision + precision) / 2.0)
        old_recall, old_precision = recall, precision
        j += 1
    return ap


def of_revisited(ranking, positives, junk, k) -> float:
    """mP@k by the definition of revisited Oxford and Paris: positions from 1, junk out, cut at the last positive."""
    left = [photo for photo in ranking if photo not in junk]
    positions = [i + 1 for i, photo in enumerate(left) if photo in positives]
    if not positions:
        return 0.0
    cut = min(max(positions), k)
    return sum(p <= cut for p in positions) / cut


def test_by_hand():
    # right at ranks 1 and 4 of 2: (1 + 1)/2 * 1/2 + (1/3 + 2/4)/2 * 1/2
    ranks = ranks_of(np.array([7, 1, 2, 8, 3]), np.array([7, 8]))
    assert ranks.tolist() == [0, 3]
    assert average_precision(ranks, 2) == pytest.approx(0.5 + (1 / 3 + 0.5) / 4)
    assert [precision_at(ranks, k) for k in (1, 2, 10)] == [1.0, 0.5, 0.5]
    # with 1 and 2 as junk the second moves up to rank 2
    assert ranks_of(np.array([7, 1, 2, 8, 3]), np.array([7, 8]), np.array([1, 2])).tolist() == [0, 1]
    assert average_precision(np.array([0, 1]), 2) == 1.0


def test_what_was_not_found_counts_as_never():
    assert average_precision(np.array([0]), 4) == 0.25
    assert average_precision(np.array([], int), 3) == 0.0
    assert precision_at(np.array([], int), 5) == 0.0
    assert math.isnan(average_precision(np.array([], int), 0))


def test_no_row_has_no_rank():
    assert ranks_of(np.array([-1, 4, -1, 2]), np.array([2])).tolist() == [1]


@st.composite
def rankings(draw):
    n = draw(st.integers(1, 20))
    ranking = draw(st.permutations(range(n)))
    ranking = list(ranking)[: draw(st.integers(0, n))]  # what could not be read is in no ranking
    kinds = draw(st.lists(st.sampled_from(["good", "junk", "both", "none", "none"]), min_size=n, max_size=n))
    positives = {i for i, kind in enumerate(kinds) if kind in ("good", "both")}
    junk = {i for i, kind in enumerate(kinds) if kind in ("junk", "both")}
    return ranking, positives, junk


@given(case=rankings(), k=st.integers(1, 12))
@settings(deadline=None, max_examples=300)
def test_it_is_that_of_the_benchmarks_own_code(case, k):
    ranking, positives, junk = case
    ranks = ranks_of(np.array(ranking, np.int64), np.array(sorted(positives)), np.array(sorted(junk)))
    assert precision_at(ranks, k) == pytest.approx(of_revisited(ranking, positives - junk, junk, k), abs=1e-12)
    if positives - junk:
        want = of_oxford(ranking, positives - junk, junk)
        assert average_precision(ranks, len(positives - junk)) == pytest.approx(want, abs=1e-12)
