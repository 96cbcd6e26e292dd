from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.sequences.averaging import averaged


def test_averages_a_frame_with_those_before():
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    half = np.sqrt(0.5)
    assert np.allclose(averaged(vectors, 2), [[1, 0], [half, half], [half, half]])
    assert np.allclose(averaged(vectors, 9)[2], np.array([2, 1]) / np.sqrt(5))


def test_length_1_is_single_frames():
    vectors = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(averaged(vectors, 1), vectors, atol=1e-7)


def test_a_mean_of_zero_stays_zero():
    assert not averaged(np.array([[1, 0], [-1, 0]], np.float32), 2)[1].any()
    assert averaged(np.zeros((0, 3), np.float32), 5).shape == (0, 3)


def test_refuses_no_frames():
    with pytest.raises(NetvladError):
        averaged(np.zeros((2, 2), np.float32), 0)
