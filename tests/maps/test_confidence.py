from __future__ import annotations

import numpy as np
import pytest

from netvlad.maps.confidence import ABSENT, RIGHT, WRONG, evidence, fit

# -- what is seen of a ranking ------------------------------------------------------------------------------------


def weighted(squared, values) -> float:
    """A mean by the weights of the matches, as they are described."""
    weight = [np.exp(-5 * (d - squared[0]) / (squared[-1] - squared[0])) for d in squared]
    return sum(w * v for w, v in zip(weight, values, strict=True)) / sum(weight)


def test_evidence_by_hand():
    # the third is the first elsewhere; a match one radius away is still of the place
    squared, radii = [0.1, 0.2, 0.4, 0.5, 0.6], [0, 0.4, 1.04, 1.0, 40.0]
    seen = evidence(np.array(squared), np.array(radii))
    spread = weighted(squared, np.log([1, 1.4, 2.04, 2, 21]))
    np.testing.assert_allclose(seen, [0.5, weighted(squared, [1, 1, 0, 1, 0]), spread])


def test_evidence_where_all_matches_agree():
    seen = evidence(np.array([0.1, 0.2, 0.4]), np.zeros(3))
    np.testing.assert_allclose(seen, [0.5, 1.0, 0.0])  # at least as far as the last


def test_evidence_of_labels():
    seen = evidence(np.array([0.1, 0.1]), np.array([0, np.inf]))
    np.testing.assert_allclose(seen, [1, 0.5, np.log(21) / 2])


def test_evidence_of_photos_that_are_equal():
    np.testing.assert_allclose(evidence(np.array([0.0, 0.3]), np.array([0, 9.0]))[0], 0)
    np.testing.assert_allclose(evidence(np.array([0.0, 0.0]), np.array([0, 9.0]))[:2], [1, 0.5])


def test_evidence_of_a_ranking_that_ends():
    inf = np.inf
    seen = evidence(np.array([0.1, 0.2, 0.3, inf, inf]), np.array([0, 0.1, 2, 0, 0]))
    np.testing.assert_allclose(seen, evidence(np.array([0.1, 0.2, 0.3]), np.array([0, 0.1, 2])))
    # where a match is missing nothing counts, whatever stands there
    seen = evidence(np.array([0.1, 0.4, inf]), np.array([0, 0.0, 90]))
    np.testing.assert_allclose(seen, [0.5, 1.0, 0.0])
    np.testing.assert_allclose(evidence(np.array([0.7]), np.array([0.0])), [1.0, 1.0, 0.0])


@pytest.mark.parametrize("scale", [0.5, 20.0])
def test_evidence_does_not_depend_on_the_scale_of_a_model(scale):
    squared, radii = np.array([0.1, 0.2, 0.35]), np.array([0, 3.0, 7.0])
    np.testing.assert_allclose(evidence(scale * squared, radii), evidence(squared, radii))


# -- the fit ------------------------------------------------------------------------------------------------------


def made_up_features(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    outcomes = rng.integers(0, 3, n)
    features = rng.normal(size=(n, 3)) * [0.3, 0.1, 0.2] + outcomes[:, None] * [0.2, -0.1, 0.05] + [1, 0.2, 0.5]
    return features, outcomes, rng.uniform(0.2, 2, n)


def test_the_fit_is_a_multinomial_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    features, outcomes, weight = made_up_features(400)
    learnt = fit(features, outcomes, weight, "session", 400)
    x = (features - features.mean(0)) / features.std(0)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(x, outcomes, sample_weight=weight)
    np.testing.assert_allclose(learnt.probabilities(features), peer.predict_proba(x), atol=2e-4)
    # a softmax does not notice what is added to all outcomes
    weights = np.array(learnt.weights)
    weights -= weights.mean(0)
    intercept = peer.intercept_ - peer.intercept_.mean()
    np.testing.assert_allclose(weights, np.c_[intercept, peer.coef_ - peer.coef_.mean(0)], atol=2e-3)


def test_the_fit_tells_the_shares_where_features_tell_nothing():
    outcomes = np.repeat([RIGHT, WRONG, ABSENT], [60, 30, 10])
    features = np.tile([0.5, 0.1, 1.0], (100, 1))
    learnt = fit(features, outcomes, np.ones(100), "place", 100)
    np.testing.assert_allclose(learnt.probabilities(features[:1]), [[0.6, 0.3, 0.1]], atol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_feature_that_never_changed_says_nothing_when_it_does(constant, column):
    features, outcomes, weight = made_up_features(300)
    features[:, column] = constant
    learnt = fit(features, outcomes, weight, "place", 300)
    changed = features[:20].copy()
    changed[:, column] += 0.7
    got = learnt.probabilities(changed)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, learnt.probabilities(features[:20]), atol=1e-9)


def test_far_away_features_give_numbers():
    learnt = fit(*made_up_features(300), "place", 300)
    got = learnt.probabilities(np.array([[1e6, -1e6, 0], [-1e6, 1e6, 1]]))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(1), 1)


def test_outcomes_that_can_be_told_apart_without_a_doubt():
    features = np.repeat(np.eye(3), 30, axis=0)
    outcomes = np.repeat([RIGHT, WRONG, ABSENT], 30)
    got = fit(features, outcomes, np.ones(90), "place", 90).probabilities(np.eye(3))
    assert np.isfinite(got).all()
    assert (np.diag(got) > 0.9).all()
