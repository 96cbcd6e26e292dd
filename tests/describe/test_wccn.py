from __future__ import annotations

import numpy as np
import pytest
import torch

from netvlad.describe.wccn import WCCN, fit_wccn
from netvlad.errors import ModelError


def classes_of_vectors(n: int, d: int, classes: int, seed: int = 0):
    """Vectors of classes whose members differ along few directions: (n, d) float32 and (n,)."""
    rng = np.random.default_rng(seed)
    of = np.arange(n) % classes
    x = rng.normal(size=(classes, d))[of] + rng.normal(size=(n, 3)) * [3, 2, 1] @ rng.normal(size=(3, d))
    x += 0.3 * rng.normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), of


def plain(vectors: np.ndarray, classes: np.ndarray, new: np.ndarray, least: float = 0.0) -> np.ndarray:
    """(S + a I)^(-1/2) in full, in double precision, from a loop over the classes."""
    d = vectors.shape[1]
    scatter = np.zeros((d, d))
    for name in set(classes.tolist()):
        own = vectors[classes == name].astype(np.float64)
        scatter += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0))
    s, u = np.linalg.eigh(scatter / (len(vectors) - len(set(classes.tolist()))))
    ridge = s[s > s[-1] * 1e-10].mean()
    gain = np.sqrt(ridge / (np.maximum(s, 0) + ridge))
    gain[gain > 1 - least] = 1
    out = new.astype(np.float64) @ (u * gain) @ u.T
    return out / np.linalg.norm(out, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "d"), [(120, 16), (18, 40), (30, 30)])
def test_equals_the_full_matrix(n, d):
    x, of = classes_of_vectors(n, d, 6)
    new = classes_of_vectors(10, d, 5, seed=1)[0]
    whitening = fit_wccn(x, of)
    found = whitening(torch.from_numpy(new)).numpy()
    np.testing.assert_allclose(found, plain(x, of, new, least=0.1), atol=2e-5)
    assert whitening.dim == d
    assert 0 < len(whitening.gains) < min(d, n - 6)  # what changes little is not stored
    assert whitening.gains.max() <= -0.1
    np.testing.assert_allclose(whitening.directions @ whitening.directions.T, np.eye(len(whitening.gains)), atol=1e-5)


def test_two_numbers_by_hand():
    # the two classes vary along (1, 0) only: S = diag(2, 0), ridge 2, gain sqrt(2 / 4) - 1
    x, of = np.array([[1.0, 0], [-1, 0], [1, 5], [-1, 5]]), np.array([7, 7, 9, 9])
    whitening = fit_wccn(x, of)
    np.testing.assert_allclose(whitening.directions.abs(), [[1, 0]], atol=1e-6)
    np.testing.assert_allclose(whitening.gains, [np.sqrt(0.5) - 1], rtol=1e-6)
    out = np.array([np.sqrt(0.5), 1])
    np.testing.assert_allclose(whitening(torch.tensor([[1.0, 1.0]])), [out / np.linalg.norm(out)], rtol=1e-6)


def test_members_of_a_class_come_nearer():
    x, of = classes_of_vectors(200, 24, 40)
    whitening = fit_wccn(x[of < 20], of[of < 20])
    x, of = x[of >= 20], of[of >= 20]

    def nearest_is_of_the_class(v):
        s = v @ v.T
        np.fill_diagonal(s, -2)
        return (of[s.argmax(axis=1)] == of).mean()

    assert nearest_is_of_the_class(whitening(torch.from_numpy(x)).numpy()) > nearest_is_of_the_class(x) + 0.2


def test_photos_that_are_all_alike_say_nothing():
    with pytest.raises(ModelError, match="all alike"):
        fit_wccn(np.eye(3)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    with pytest.raises(ModelError, match="all alike"):
        fit_wccn(np.eye(3), np.arange(3))


def test_no_number_can_be_cut():
    with pytest.raises(ModelError, match="keep all their 5 numbers"):
        WCCN(5, 2).cropped(3)
