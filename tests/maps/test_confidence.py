from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.maps import confidence as module
from netvlad.maps.confidence import (
    ABSENT,
    DEEP,
    RIGHT,
    WRONG,
    Calibration,
    _ask,
    _fit,
    _near,
    _Nearest,
    calibrate,
    evidence,
    own_visits,
)
from netvlad.places import Places

RADIUS = 25.0


def on_a_street(metres, time=None) -> Places:
    return Places.build(path=[f"/{i}.jpg" for i in range(len(metres))], easting=metres, northing=0.0, time=time)


class World:
    """Two streets a kilometre long: looks change over some 15 m and partly come again; some photos are better."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.waves = self.rng.normal(size=(2, 24)) / 18.0
        self.phases = self.rng.uniform(0, 2 * np.pi, (2, 24))

    def look(self, metres: np.ndarray, street: int = 0) -> np.ndarray:
        code = np.cos(metres[:, None] * self.waves[street] + self.phases[street])
        code[:, :8] = np.cos((metres[:, None] % 150) * self.waves[0, :8] + self.phases[0, :8])
        code += self.rng.normal(size=code.shape) * self.rng.uniform(0.1, 1.6, (len(code), 1))
        return (code / np.linalg.norm(code, axis=1, keepdims=True)).astype(np.float32)

    def visits(self, days: int, each: int, metres: np.ndarray | None = None) -> tuple[Places, np.ndarray]:
        """Places and vectors of so many walks along the first street, one a day."""
        if metres is None:
            metres = np.concatenate([np.sort(self.rng.uniform(0, 1000, each)) for _ in range(days)])
        day, second = np.divmod(np.arange(days * each), each)
        places = on_a_street(metres, np.datetime64("2025-01-01T10:00:00", "s") + 86400 * day + second)
        return places, self.look(metres)


def ask(learnt: Calibration, places: Places, vectors: np.ndarray, queries: np.ndarray):
    """(probabilities, easting of the best match) of each query, ranked by brute force."""
    seen, best = [], []
    for query in queries:
        squared = ((vectors - query) ** 2).sum(1)
        order = np.argsort(squared)[:DEEP]
        seen.append(evidence(squared[order], places.xyz[order], RADIUS))
        best.append(places.easting[order[0]])
    return learnt.probabilities(np.array(seen)), np.array(best)


# -- what is seen of a ranking ------------------------------------------------------------------------------------


def at(*eastings) -> np.ndarray:
    return np.array([[e, 0, 0] for e in eastings], float)


def test_evidence_by_hand():
    # best at 0 m; 10 and 25 m are within 25 m of it, 26 and 100 m are not: the third is the first elsewhere
    seen = evidence(np.array([0.1, 0.2, 0.35, 0.5, 0.6]), at(0, 10, 26, 25, 100), RADIUS)
    np.testing.assert_allclose(seen, [0.1, 0.25, 3 / 5])


def test_evidence_where_all_matches_agree():
    seen = evidence(np.array([0.1, 0.2, 0.5]), at(0, 1, 2), RADIUS)
    np.testing.assert_allclose(seen, [0.1, 0.4, 1.0])  # at least as far as the last


def test_evidence_of_a_ranking_that_ends():
    seen = evidence(np.array([0.1, 0.2, 0.3, np.inf, np.inf]), at(0, 1, 50, 0, 0), RADIUS)
    np.testing.assert_allclose(seen, [0.1, 0.2, 2 / 3])
    # where a match is missing no position counts, whatever stands there
    seen = evidence(np.array([0.1, 0.2, 0.3, np.inf, np.inf]), at(0, 1, 2, 900, 0), RADIUS)
    np.testing.assert_allclose(seen, [0.1, 0.2, 1.0])
    np.testing.assert_allclose(evidence(np.array([0.7]), at(3), RADIUS), [0.7, 0.0, 1.0])


def test_evidence_counts_support_among_the_ten_best():
    squared = np.arange(20.0)
    seen = evidence(squared, at(*[0] * 4, *[90] * 6, *[0] * 10), RADIUS)
    np.testing.assert_allclose(seen, [0, 4, 0.4])


# -- who is left out ----------------------------------------------------------------------------------------------


def same_groups(a, b) -> bool:
    return ((a[:, None] == a) == (np.array(b)[:, None] == np.array(b))).all()


def test_own_visit_is_the_session_where_there_are_several():
    times = ["2025-01-01T10:00:00", "2025-01-02T10:00:00", "2025-01-01T10:05:00", None, None, "2025-01-02T10:30:00"]
    how, visit = next(own_visits(on_a_street(np.zeros(6), times)))
    assert how == "session"
    assert same_groups(visit, [0, 1, 0, 2, 3, 1])  # without a time each is its own


@pytest.mark.parametrize("times", [None, ["2025-01-01T10:00:00", "2025-01-01T11:00:00", None, None]])
def test_own_visit_is_the_exact_place_otherwise(times):
    [(how, visit)] = own_visits(on_a_street([0.0, 0.3, 3.0, 0.0], times))
    assert how == "place"
    assert same_groups(visit, [0, 0, 1, 0])
    round_the_globe = Places.build(path=["/a.jpg", "/b.jpg", "/c.jpg"], lat=[10.0, 10.0, 10.0001], lon=[7.0, 7.0, 7.0])
    assert same_groups(next(own_visits(round_the_globe))[1], [0, 0, 1])


# -- the blocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[130], [3, 100, 1, 26], [20, 5], [1] * 60])
def test_nearest_over_blocks_is_a_full_sort(sizes):
    rng = np.random.default_rng(0)
    squared = rng.uniform(0, 4, (7, sum(sizes))).astype(np.float32)
    squared[:, ::5] = np.inf  # left out
    squared[0, :] = np.inf
    nearest, first = _Nearest(7), 0
    for size in sizes:
        nearest.take(squared[:, first : first + size].copy(), first)
        first += size
    for i in range(7):
        got, ids = nearest.sorted(i)
        found = np.isfinite(got)
        order = np.argsort(squared[i], kind="stable")[:DEEP]
        want = order[np.isfinite(squared[i][order])]
        assert ids[found].tolist() == want.tolist()
        np.testing.assert_array_equal(got[found], squared[i][want])
        assert not found[len(want) :].any()


def test_nearest_puts_ties_in_the_order_of_the_rows():
    nearest = _Nearest(1)
    nearest.take(np.array([[2, 1]], np.float32), 0)
    nearest.take(np.array([[1, 2, -1e-7]], np.float32), 2)
    squared, ids = nearest.sorted(0)
    assert ids[:5].tolist() == [4, 1, 2, 0, 3]
    assert squared[:5].tolist() == [0, 1, 1, 2, 2]  # rounding below zero is zero


def test_near_is_a_loop():
    rng = np.random.default_rng(0)
    lat, lon = 31.26 + rng.uniform(0, 2e-3, 60), 34.8 + rng.uniform(0, 2e-3, 60)
    xyz = Places.build(path=["/a.jpg"] * 60, lat=lat, lon=lon).xyz
    a, b = xyz[:25], xyz[25:]
    want = [[np.sqrt(((p - q) ** 2).sum()) <= 60 for q in b] for p in a]
    assert 100 < np.sum(want) < 775
    np.testing.assert_array_equal(_near(a, b, 60.0), want)


def test_near_keeps_its_digits_far_from_the_origin():
    a = np.random.default_rng(0).uniform(-500, 500, (200, 3)) + np.array([4.5e6, 3.1e6, 3.3e6])
    for step, near in ((0.499, True), (0.501, False)):
        assert (np.diag(_near(a, a + np.array([0, step, 0]), 0.5)) == near).all()


def asked_by_loops(places: Places, vectors: np.ndarray, rows, visit):
    """`_ask` by its description, one photo at a time: `[(features, outcome)]`."""
    out = []
    gaps = np.linalg.norm(places.xyz[:, None] - places.xyz, axis=-1)
    for row in rows:
        others = np.flatnonzero(visit != visit[row])
        for far in (0, 2 * RADIUS):  # as it is; with everything near it taken out
            ids = others[gaps[row, others] > far] if far else others
            if not len(ids):
                continue
            squared = ((vectors[ids] - vectors[row]) ** 2).sum(1)
            order = np.argsort(squared, kind="stable")[:DEEP]
            there = not far and (gaps[row, ids] <= RADIUS).any()
            right = gaps[row, ids[order[0]]] <= RADIUS
            kind = ABSENT if not there else RIGHT if right else WRONG
            out.append((evidence(squared[order], places.xyz[ids[order]], RADIUS), kind))
    return out


def test_asking_is_what_a_loop_does(monkeypatch):
    places, vectors = World(5).visits(3, 40)
    _, visit = next(own_visits(places))
    rows = np.arange(0, 120, 3)
    want = asked_by_loops(places, vectors, rows, visit)
    monkeypatch.setattr(module, "PIECE", 17)
    features, outcomes = _ask(places, lambda: iter([vectors[:50], vectors[50:]]), RADIUS, rows, visit)
    assert outcomes.tolist() == [kind for _, kind in want]
    assert set(outcomes) == {RIGHT, WRONG, ABSENT}
    np.testing.assert_allclose(features, [seen for seen, _ in want], atol=2e-6)


# -- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_on_fresh_photos_of_a_made_up_world(seed):
    world = World(seed)
    places, vectors = world.visits(4, 120)
    learnt, _ = calibrate(places, lambda: [vectors[:200], vectors[200:]], RADIUS)
    assert isinstance(learnt, Calibration)
    assert (learnt.how, learnt.asked) == ("leave-one-session-out", 480)
    metres = world.rng.uniform(0, 1000, 1200)
    elsewhere = world.look(world.rng.uniform(0, 1000, 300), street=1)
    probabilities, best = ask(learnt, places, vectors, np.r_[world.look(metres), elsewhere])
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities >= 0).all()
    right = np.r_[np.abs(best[:1200] - metres) <= RADIUS, np.zeros(300, bool)]
    sure, absent = probabilities[:, RIGHT], probabilities[:, ABSENT]
    assert 0.5 < right[:1200].mean() < 0.9  # the world is neither trivial nor hopeless
    assert sure[right].mean() > sure[~right].mean() + 0.3
    assert absent[1200:].mean() > absent[:1200].mean() + 0.08
    bins = np.minimum((sure * 10).astype(int), 9)
    error = sum(abs((sure - right)[bins == b].sum()) for b in range(10)) / len(right)
    assert error < 0.1  # expected calibration error; 0.03 to 0.07 over seeds


def test_places_are_left_out_where_there_is_one_session():
    world = World(3)
    metres = np.repeat(np.arange(0, 1000, 10.0), 2)  # two photos at each standpoint
    learnt, _ = calibrate(on_a_street(metres), lambda: [world.look(metres)], RADIUS)
    assert (learnt.how, learnt.asked) == ("leave-one-place-out", 200)


def test_only_some_photos_of_a_large_index_are_asked(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 150)
    places, vectors = World(0).visits(4, 100)
    assert calibrate(places, lambda: [vectors], RADIUS)[0].asked == 150


def test_how_the_vectors_are_cut_changes_nothing(monkeypatch):
    places, vectors = World(0).visits(3, 60)
    whole, _ = calibrate(places, lambda: [vectors], RADIUS)
    assert calibrate(places, lambda: [vectors], RADIUS) == (whole, "")
    monkeypatch.setattr(module, "PIECE", 31)
    parts, _ = calibrate(places, lambda: iter(np.array_split(vectors, 4)), RADIUS)
    seen = np.random.default_rng(0).uniform(0, 1, (50, 3))
    np.testing.assert_allclose(parts.probabilities(seen), whole.probabilities(seen), atol=1e-3)


def test_it_comes_back_from_json():
    places, vectors = World(1).visits(3, 60)
    learnt, _ = calibrate(places, lambda: [vectors], RADIUS)
    assert Calibration(**json.loads(json.dumps(learnt.to_dict(), allow_nan=False))) == learnt


def test_too_few_photos():
    places, vectors = World(0).visits(1, 19)
    assert calibrate(places, lambda: [vectors], RADIUS) == (None, "19 photos are too few to learn from (at least 20)")
    assert calibrate(places[:0], lambda: [], RADIUS) == (None, "0 photos are too few to learn from (at least 20)")


def test_a_map_on_which_every_answer_is_right():
    metres = np.tile(np.arange(30) * 100.0, 2)
    day = np.repeat([0, 1], 30)
    places = on_a_street(metres, np.datetime64("2025-01-01", "s") + 86400 * day)
    learnt, _ = calibrate(places, lambda: [np.tile(np.eye(30, dtype=np.float32), (2, 1))], RADIUS)
    assert learnt.how == "leave-one-session-out"
    # each is asked twice: found at distance 0, all else at 2; then without its place, all at 2
    found, gone = learnt.probabilities(np.array([[0.0, 2.0, 0.1], [2.0, 0.0, 0.2]]))
    assert found[RIGHT] > 0.9
    assert gone[ABSENT] > 0.9
    assert max(found[WRONG], gone[WRONG]) < 0.1


def test_sessions_that_never_meet_are_asked_place_by_place():
    """Two walks a kilometre apart: without its session a photo has nothing near it, without its place it has."""
    metres = np.concatenate([np.arange(30) * 5.0, 1000 + np.arange(30) * 5.0])
    places = on_a_street(metres, np.datetime64("2025-01-01", "s") + 86400 * np.repeat([0, 1], 30))
    codes = np.exp(-(((metres[:, None] - np.linspace(0, 1150, 200)) / 15) ** 2)).astype(np.float32)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    learnt, _ = calibrate(places, lambda: [codes], RADIUS)
    assert learnt.how == "leave-one-place-out"


def test_nothing_to_learn_from_a_single_place():
    places = on_a_street(np.zeros(40))
    learnt, reason = calibrate(places, lambda: [np.ones((40, 4), np.float32)], RADIUS)
    assert learnt is None
    assert reason == (
        "of 40 photos asked, too few were answered right: 0 without their own place; at least 10 are needed"
    )


def test_two_visits_of_a_sparse_map():
    """Photos 30 m apart: with one visit left out no two matches agree, so support never changes; later it does."""
    world = World(0)
    metres = np.arange(100) * 30.0
    places, vectors = world.visits(2, 100, np.tile(metres, 2))
    learnt, _ = calibrate(places, lambda: [vectors], RADIUS)
    asked = np.tile(metres, 5)
    probabilities, best = ask(learnt, places, vectors, world.look(asked))
    right = np.abs(best - asked) <= RADIUS
    sure = probabilities[:, RIGHT]
    assert abs(sure.mean() - right.mean()) < 0.1
    assert ((sure > 0.001) & (sure < 0.999)).all()


# -- the fit ------------------------------------------------------------------------------------------------------


def made_up_features(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    outcomes = rng.integers(0, 3, n)
    features = rng.normal(size=(n, 3)) * [0.3, 0.1, 0.2] + outcomes[:, None] * [0.2, -0.1, 0.05] + [1, 0.2, 0.5]
    return features, outcomes, rng.uniform(0.2, 2, n)


def test_the_fit_is_a_multinomial_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    features, outcomes, weight = made_up_features(400)
    learnt = _fit(features, outcomes, weight, "session", 400)
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
    learnt = _fit(features, outcomes, np.ones(100), "place", 100)
    np.testing.assert_allclose(learnt.probabilities(features[:1]), [[0.6, 0.3, 0.1]], atol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_feature_that_never_changed_says_nothing_when_it_does(constant, column):
    features, outcomes, weight = made_up_features(300)
    features[:, column] = constant
    learnt = _fit(features, outcomes, weight, "place", 300)
    changed = features[:20].copy()
    changed[:, column] += 0.7
    got = learnt.probabilities(changed)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, learnt.probabilities(features[:20]), atol=1e-9)


def test_far_away_features_give_numbers():
    learnt = _fit(*made_up_features(300), "place", 300)
    got = learnt.probabilities(np.array([[1e6, -1e6, 0], [-1e6, 1e6, 1]]))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(1), 1)


def test_outcomes_that_can_be_told_apart_without_a_doubt():
    features = np.repeat(np.eye(3), 30, axis=0)
    outcomes = np.repeat([RIGHT, WRONG, ABSENT], 30)
    got = _fit(features, outcomes, np.ones(90), "place", 90).probabilities(np.eye(3))
    assert np.isfinite(got).all()
    assert (np.diag(got) > 0.9).all()
