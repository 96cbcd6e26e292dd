from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netvlad.describe.parts import ClusterParts, StoredParts
from netvlad.describe.parts import cluster_parts as cluster_parts_of
from netvlad.describe.vlad import normalise


def cluster_parts(seed: int = 0):
    rng = np.random.default_rng(seed)
    weights, x, centres = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 6), (5, 6), (3, 5)))
    shares = np.einsum("kl,lkd->lkd", weights, x.T[:, None] - centres)
    return ClusterParts(weights, x, centres, np.ones((2, 3), bool)), shares


@pytest.fixture(params=["cluster", "stored"])
def both(request):
    parts, shares = cluster_parts()
    return (parts if request.param == "cluster" else StoredParts(shares, np.ones((2, 3), bool))), shares


def test_the_vector_is_the_sum_of_the_shares(both):
    parts, shares = both
    np.testing.assert_allclose(parts.vector, shares.sum(axis=0).ravel(), atol=1e-5)


def test_shares_along_a_direction(both):
    parts, shares = both
    direction = np.random.default_rng(1).normal(size=15).astype(np.float32)
    expected = [
        [[shares[3 * y + x, k] @ direction[5 * k : 5 * k + 5] for x in range(3)] for y in range(2)] for k in range(3)
    ]
    np.testing.assert_allclose(parts.along(direction), expected, atol=1e-5)


def test_sums_over_cells_with_an_empty_one(both):
    parts, shares = both
    found = parts.summed(np.array([[2, 0, 2], [0, 0, 3]]), 4)
    for cell, members in enumerate(([1, 3, 4], [], [0, 2], [5])):
        np.testing.assert_allclose(found[cell], shares[members].sum(axis=0).ravel(), atol=1e-5)


def test_a_cluster_of_which_a_photo_has_next_to_nothing():
    """Below 1e-12 a norm divides no longer, and the cluster is as short in the parts as in the vector."""
    g = torch.Generator().manual_seed(0)
    x, centres = torch.randn(1, 5, 2, 3, generator=g), torch.randn(2, 5, generator=g) / 3
    assignment = torch.rand(1, 2, 6, generator=g)
    assignment[:, 0] *= 2e-13
    unit = F.normalize(x.flatten(2), dim=1)
    residuals = assignment @ unit.transpose(1, 2) - assignment.sum(2, keepdim=True) * centres
    parts = cluster_parts_of(x, None, assignment, centres, normalise)
    expected = normalise(residuals)[0].numpy()
    assert 0.01 < np.linalg.norm(expected[:5]) < 0.6
    np.testing.assert_allclose(parts.vector, expected, atol=1e-5)
