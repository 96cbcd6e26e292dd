from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from netvlad.describe.whitening import Whitening, fit_projection, fit_whitening
from netvlad.errors import ModelError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def vectors(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Correlated vectors with variances that fall off, unit length, float32."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * 0.8 ** np.arange(d) @ rng.normal(size=(d, d)) + 0.3
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


more_photos_or_more_numbers = pytest.mark.parametrize(("n", "d"), [(200, 12), (15, 40), (20, 20)])


@more_photos_or_more_numbers
def test_equals_scikit_learn(n, d):
    x, dim = vectors(n, d), 6
    pca = PCA(dim, whiten=True, svd_solver="full").fit(x.astype(np.float64))
    whitening = fit_whitening(x, dim)
    new = vectors(30, d, seed=1)
    expected = pca.transform(new.astype(np.float64))
    found = ((torch.from_numpy(new) - whitening.mean) @ whitening.matrix.T).numpy()
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(whitening.mean, pca.mean_, atol=1e-6)
    out = whitening(torch.from_numpy(new)).numpy() * signs
    np.testing.assert_allclose(out, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


@more_photos_or_more_numbers
def test_the_training_vectors_become_uncorrelated_with_variance_one(n, d):
    x = vectors(n, d)
    whitening = fit_whitening(x, 6)
    white = ((torch.from_numpy(x) - whitening.mean) @ whitening.matrix.T).double().numpy()
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(white.T @ white / (n - 1), np.eye(6), atol=1e-3)


@more_photos_or_more_numbers
def test_the_largest_variance_comes_first(n, d):
    x = vectors(n, d)
    # a row of W is a unit vector over the root of its variance
    variance = 1 / fit_whitening(x, 6).matrix.square().sum(dim=1).numpy()
    expected = np.linalg.svd((x - x.mean(axis=0)).astype(np.float64), compute_uv=False)[:6] ** 2 / (n - 1)
    np.testing.assert_allclose(variance, expected, rtol=1e-3)


def test_two_numbers_by_hand():
    # along (1, 1): +-2 root 2, along (1, -1): +-root 2; n - 1 = 3: variances 16/3 and 4/3 about the mean (5, 6)
    x = np.array([[2, 2], [-2, -2], [1, -1], [-1, 1]], dtype=np.float64) + np.array([5, 6])
    whitening = fit_whitening(x, 2)
    r = np.sqrt(0.5)
    np.testing.assert_allclose(whitening.matrix.abs(), [[r / np.sqrt(16 / 3)] * 2, [r / np.sqrt(4 / 3)] * 2], rtol=1e-6)
    np.testing.assert_allclose(whitening.mean, [5, 6])
    out = whitening(torch.tensor([[7.0, 8.0], [5.0, 4.0]]))
    np.testing.assert_allclose(out[0].abs(), [1, 0], atol=1e-6)
    # (0, -2) is -root 2 along (1, 1) and root 2 along (1, -1): the second counts double
    np.testing.assert_allclose(out[1].abs(), np.array([1, 2]) / np.sqrt(5), rtol=1e-6)


def test_the_authors_epsilon_counts_where_variances_are_small():
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1e-2, 3e-5, 1e-5]
    x -= x.mean(axis=0)
    x = np.linalg.qr(x)[0] * [1e-2, 3e-5, 1e-5] * 7  # columns uncorrelated, variances 1e-4, 9e-10, 1e-10
    matrix = fit_whitening(x, 3).matrix.double().numpy()
    np.testing.assert_allclose(
        np.abs(matrix), np.diag(1 / np.sqrt(np.array([1e-4, 9e-10, 1e-10]) + 1e-9)), rtol=1e-4, atol=1
    )


def test_a_cut_keeps_the_first_numbers_and_normalises_again():
    x = torch.from_numpy(vectors(50, 10))
    whitening = fit_whitening(x.numpy(), 8)
    full, cut = whitening(x), whitening.cropped(3)
    assert (whitening.dim, cut.dim) == (8, 3)
    expected = full[:, :3] / full[:, :3].norm(dim=1, keepdim=True)
    torch.testing.assert_close(cut(x), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cut.cropped(1)(x).abs(), torch.ones(50, 1))
    torch.testing.assert_close(whitening.cropped(8)(x), full)
    for dim in (9, 0, -1):
        with pytest.raises(ModelError, match=f"8 dimensions cannot be cropped to {dim}"):
            whitening.cropped(dim)


def test_a_cut_shares_no_memory():
    whitening = fit_whitening(vectors(50, 10), 4)
    cut = whitening.cropped(2)
    cut.matrix.zero_()
    cut.mean.zero_()
    assert whitening.matrix[:2].any()
    assert whitening.mean.any()


@pytest.mark.parametrize(
    ("n", "d", "dim", "at_most"),
    [(5, 10, 5, 4), (10, 5, 6, 5), (1, 5, 1, 1), (0, 5, 2, 1), (10, 5, 0, 5), (10, 5, -2, 5)],
)
def test_too_few_photos(n, d, dim, at_most):
    with pytest.raises(ModelError, match=f"to {dim} dimensions .* there are {n} photos: choose 1 to {at_most}"):
        fit_whitening(vectors(n, d), dim)


def test_as_many_dimensions_as_there_can_be():
    for n, d in ((6, 9), (9, 5)):
        assert fit_whitening(vectors(n, d), min(n - 1, d)).dim == min(n - 1, d)


@pytest.mark.parametrize(("distinct", "d"), [(3, 40), (3, 6), (1, 40)])
def test_photos_that_are_nearly_all_copies(distinct, d):
    x = np.repeat(vectors(distinct, d), 8, axis=0)
    rank = distinct - 1
    with pytest.raises(ModelError, match=f"these {8 * distinct} photos span only {rank} dimensions: whiten to at most"):
        fit_whitening(x, 4)
    if rank:
        assert torch.isfinite(fit_whitening(x, rank)(torch.from_numpy(x))).all()


def test_saved_and_loaded():
    old = fit_whitening(vectors(50, 10), 4)
    new = Whitening(10, 4)
    new.load_state_dict(old.state_dict())
    x = torch.from_numpy(vectors(5, 10, seed=2))
    torch.testing.assert_close(new(x), old(x), rtol=0, atol=0)


# -- projections to any number of dimensions --------------------------------------------------------------------------


def test_a_projection_divides_by_a_power_of_the_variance(rng):
    x = rng.standard_normal((400, 6)) * [8, 4, 2, 1, 0.5, 0.25] @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    projection = fit_projection(x.astype(np.float32), 4)
    whole = np.concatenate([x, np.zeros((1, 6))])
    variance, directions = np.linalg.eigh(np.cov(whole.T))
    want = (x - whole.mean(0)) @ directions[:, ::-1][:, :4] / variance[::-1][:4] ** 0.25
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    got = projection(torch.from_numpy(x).float()).numpy()
    np.testing.assert_allclose(np.abs((got * want).sum(0)), np.square(want).sum(0), rtol=1e-3)  # up to signs


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_projection_of_few_vectors_keeps_room_for_others(rng, n):
    x = rng.standard_normal((n, 40)).astype(np.float32)
    projection = fit_projection(x, 20)
    got = projection(torch.from_numpy(np.concatenate([x, rng.standard_normal((3, 40)).astype(np.float32)]))).numpy()
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, rtol=1e-5)
    assert np.linalg.matrix_rank(projection.matrix.numpy()) == 20
    assert np.linalg.matrix_rank(got, tol=1e-3) == n + 3  # none of the others falls on another


def test_a_projection_of_vectors_that_are_all_alike_is_random_and_finite():
    projection = fit_projection(np.zeros((3, 8), np.float32), 4)
    assert torch.isfinite(projection.matrix).all()
    assert np.linalg.matrix_rank(projection.matrix.numpy()) == 4


@pytest.mark.parametrize("dim", [0, 9])
def test_a_projection_has_at_most_as_many_numbers_as_the_vectors(dim):
    with pytest.raises(ModelError):
        fit_projection(np.eye(8, dtype=np.float32), dim)
