from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.sequences.seqslam import contrast_normalised, seqslam


def top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(scores, ids, 1).astype(np.float32)


def by_hand(ids, scores, length, speeds):
    """The same by plain loops: value of each row, or -inf."""
    normal = contrast_normalised(scores)
    held = [dict(zip(row.tolist(), values.tolist(), strict=True)) for row, values in zip(ids, normal, strict=True)]
    out = np.empty(ids.shape)
    for t, row in enumerate(ids):
        for c, end in enumerate(row):
            means = []
            for speed in speeds:
                backs = range(min(length, t + 1))
                means.append(
                    np.mean([held[t - b].get(int(end) - round(speed * b), min(held[t - b].values())) for b in backs])
                )
            out[t, c] = max(means)
    return out


@pytest.mark.parametrize("k", [3, 12])
def test_agrees_with_plain_loops(k):
    rng = np.random.default_rng(k)
    ids, scores = top(rng.normal(size=(9, 12)), k)
    got, values = seqslam(ids, scores, 4, (-1.0, 0.8, 1.3))
    wanted = by_hand(ids, scores, 4, (-1.0, 0.8, 1.3))
    order = np.argsort(-wanted, axis=1, kind="stable")
    assert np.allclose(values, np.take_along_axis(wanted, order, 1), atol=1e-6)
    assert (got == np.take_along_axis(ids, order, 1)).all()


def test_length_1_is_the_single_frame_ranking():
    ids, scores = top(np.random.default_rng(1).normal(size=(6, 20)), 8)
    assert (seqslam(ids, scores, 1)[0] == ids).all()


def test_a_line_outdoes_a_frame_that_looks_like_another_place():
    scores = np.full((5, 10), -1.0)
    scores[np.arange(5), np.arange(2, 7)] = -0.5
    scores[4, 9] = -0.4
    ids, values = top(scores, 10)
    assert ids[4, 0] == 9
    assert seqslam(ids, values, 5)[0][4, 0] == 6
    backwards = seqslam(*top(scores[:4, ::-1], 10), 4)[0]  # driven the other way
    assert backwards[3, 0] == 4


def test_rows_that_are_missing_stay_missing():
    ids = np.array([[3, -1], [-1, -1], [4, 2]])
    scores = np.array([[-1, -np.inf], [-np.inf, -np.inf], [-1, -2]], np.float32)
    got, values = seqslam(ids, scores, 3)
    assert got.tolist() == ids.tolist()
    assert np.isneginf(values[ids < 0]).all()
    assert np.isfinite(values[ids >= 0]).all()
    assert seqslam(np.empty((0, 4), np.int64), np.empty((0, 4), np.float32))[0].shape == (0, 4)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"speeds": ()}])
def test_refuses_no_lines(wrong):
    with pytest.raises(NetvladError):
        seqslam(np.array([[0]]), np.zeros((1, 1), np.float32), **wrong)
