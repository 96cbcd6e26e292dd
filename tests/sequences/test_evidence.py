from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.sequences.evidence import Evidence, contrast, fit_evidence


def test_contrast_is_what_stands_above_the_median():
    found = contrast(np.array([[-1.0, -2, -3, -np.inf], [-np.inf] * 4]))
    assert found[0].tolist() == [1, 0, -1, -np.inf]
    assert np.isneginf(found[1]).all()
    assert contrast(np.empty((2, 0))).shape == (2, 0)


def test_what_darkens_all_scores_alike_says_nothing():
    scores = np.array([-0.2, -0.9, -1.1])
    assert np.allclose(Evidence(5, -3).of(scores), Evidence(5, -3).of(scores - 0.7))


def test_learns_the_evidence_that_frames_were_drawn_with():
    """Other rows score N(0, s), the place's own N(m, s): the ratio has slope m / s² and offset -m² / 2 s²."""
    rng = np.random.default_rng(0)
    frames, size, m, s = 1000, 41, 0.5, 0.125
    scores = rng.normal(0, s, (frames, size))
    same = np.zeros(scores.shape, bool)
    same[: frames // 2, 0] = True
    scores[same] += m
    found = fit_evidence(scores, same, size)
    assert found.slope == pytest.approx(m / s**2, rel=0.1)
    assert found.offset == pytest.approx(-(m**2) / (2 * s**2), rel=0.15)


def test_needs_frames_of_both_kinds():
    scores = np.zeros((3, 2))
    with pytest.raises(NetvladError):
        fit_evidence(scores, np.ones((3, 2), bool), 9)
    with pytest.raises(NetvladError):
        fit_evidence(scores, np.zeros((3, 2), bool), 9)
