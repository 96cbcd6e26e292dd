from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.training.losses import Diverged, ranking_loss


def by_loop(q, positives, negatives, margin):
    """The definition, number by number."""
    nearest = min(sum((a - b) ** 2 for a, b in zip(q, p, strict=True)) for p in positives)
    terms = [nearest + margin - sum((a - b) ** 2 for a, b in zip(q, n, strict=True)) for n in negatives]
    return sum(max(0.0, t) for t in terms), sum(t > 0 for t in terms)


def test_by_hand():
    q = torch.tensor([1.0, 0.0], requires_grad=True)
    positives = torch.tensor([[0.0, 1.0], [0.6, 0.8]], requires_grad=True)  # squared distances 2 and 0.8
    negatives = torch.tensor([[0.8, 0.6], [0.6, -0.8], [-1.0, 0.0]], requires_grad=True)  # 0.4, 0.8, 4
    loss, violating = ranking_loss(q, positives, negatives, 0.1)
    assert loss.item() == pytest.approx(0.5 + 0.1)
    assert violating == 2
    loss.backward()
    # each violating negative gives 2 (q - p) - 2 (q - n) = 2 (n - p) to q, 2 (p - q) to p, 2 (q - n) to itself
    np.testing.assert_allclose(q.grad, [2 * (0.2 + 0.0), 2 * (-0.2 - 1.6)], atol=1e-6)
    np.testing.assert_allclose(positives.grad, [[0, 0], [4 * -0.4, 4 * 0.8]], atol=1e-6)
    np.testing.assert_allclose(negatives.grad, [[0.4, -1.2], [0.8, 1.6], [0, 0]], atol=1e-6)


def test_no_triplet_violates():
    q = torch.tensor([1.0, 0.0], requires_grad=True)
    loss, violating = ranking_loss(q, torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.1)
    assert (loss.item(), violating) == (0.0, 0)
    loss.backward()
    assert not q.grad.any()


def test_a_triplet_on_the_margin_does_not_violate():
    loss, violating = ranking_loss(torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([[1.0]]), 0.75)
    assert (loss.item(), violating) == (0.0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6), st.floats(0.01, 1.0))
def test_like_a_loop_in_float64(seed, p, n, margin):
    rng = np.random.default_rng(seed)
    q, positives, negatives = rng.normal(size=3), rng.normal(size=(p, 3)), rng.normal(size=(n, 3))
    loss, violating = ranking_loss(*map(torch.from_numpy, (q, positives, negatives)), margin)
    expected, count = by_loop(q, positives, negatives, margin)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    assert violating == count


def test_gradcheck():
    g = torch.Generator().manual_seed(3)
    q, positives, negatives = (
        torch.randn(shape, generator=g, dtype=torch.float64, requires_grad=True) for shape in ((4,), (3, 4), (5, 4))
    )
    assert torch.autograd.gradcheck(lambda *v: ranking_loss(*v, 1.0)[0], (q, positives, negatives))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(Diverged, match="the loss is"):
        ranking_loss(torch.tensor([bad, 0.0]), torch.zeros(1, 2), torch.ones(2, 2))
