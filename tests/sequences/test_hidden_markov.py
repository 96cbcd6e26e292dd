from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.sequences.evidence import Evidence
from netvlad.sequences.hidden_markov import HiddenMarkov, Motion

EVIDENCE = Evidence(6.0, -1.0)
MOTION = Motion(forwards=1.5, backwards=0.5, slack=0.1, stay=0.8, leave=0.1, jump=0.05, span=2)


def ranked(scores: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    ids = np.argsort(-scores, kind="stable")[:k]
    return ids, scores[ids]


def run(model: HiddenMarkov, scores: np.ndarray, k: int | None = None, times=None):
    times = np.arange(len(scores), dtype=float) if times is None else times
    found = []
    for t, row in zip(times, scores, strict=True):
        ids, values = ranked(row, k)
        found.append(model.add(ids, values, ids.astype(float), t, scores.shape[1]))
    return [one for one in found if one] + model.finish()


def all_paths(scores: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, tuple]:
    """Posteriors (T, N + 1) and the likeliest path, by going through every path; state N is "new"."""
    frames, size = scores.shape
    m = MOTION

    def step(i, j, seconds):
        if i == size:
            return m.stay if j == size else (1 - m.stay) / size
        if j == size:
            return m.leave
        near = -m.backwards * seconds - m.slack <= j - i <= m.forwards * seconds + m.slack
        return (1 - m.leave) * ((1 - m.jump) * near / m.span + m.jump / size)

    ratio = np.exp(EVIDENCE.slope * (scores - np.median(scores, axis=1, keepdims=True)) + EVIDENCE.offset)
    ratio = np.c_[ratio, np.ones(frames)]
    total, best = np.zeros((frames, size + 1)), (0.0, ())
    for path in product(range(size + 1), repeat=frames):
        p = (0.5 if path[0] == size else 0.5 / size) * ratio[0, path[0]]
        for t in range(1, frames):
            p *= step(path[t - 1], path[t], times[t] - times[t - 1]) * ratio[t, path[t]]
        for t in range(frames):
            total[t, path[t]] += p
        best = max(best, (p, path))
    return total / total.sum(axis=1, keepdims=True), best[1]


def spread_out(estimate, size):
    out = np.zeros(size + 1)
    out[estimate.ids], out[size] = estimate.probability, estimate.new
    return out


SCORES = np.random.default_rng(3).normal(0, 0.4, (5, 4))
TIMES = np.array([0.0, 1.0, 1.5, 3.0, 4.0])


def test_smoothing_agrees_with_all_paths_gone_through():
    wanted, _ = all_paths(SCORES, TIMES)
    found = run(HiddenMarkov(EVIDENCE, MOTION, length=5, lag=4), SCORES, times=TIMES)
    assert np.allclose([spread_out(one, 4) for one in found], wanted)
    assert [one.t for one in found] == TIMES.tolist()


def test_filtering_agrees_with_all_paths_up_to_each_frame():
    found = run(HiddenMarkov(EVIDENCE, MOTION), SCORES, times=TIMES)
    for t, one in enumerate(found):
        assert np.allclose(spread_out(one, 4), all_paths(SCORES[: t + 1], TIMES[: t + 1])[0][t])


def test_a_fixed_lag_takes_in_only_frames_up_to_it():
    found = run(HiddenMarkov(EVIDENCE, MOTION, lag=1), SCORES, times=TIMES)
    for t, one in enumerate(found):
        end = min(t + 2, 5)
        assert np.allclose(spread_out(one, 4), all_paths(SCORES[:end], TIMES[:end])[0][t])


def test_a_length_forgets_what_was_before():
    found = run(HiddenMarkov(EVIDENCE, MOTION, length=3, lag=1), SCORES, times=TIMES)
    assert np.allclose(spread_out(found[3], 4), all_paths(SCORES[2:], TIMES[2:])[0][1])


def test_viterbi_agrees_with_all_paths_gone_through():
    model = HiddenMarkov(EVIDENCE, MOTION, length=5)
    for t, row in zip(TIMES, SCORES, strict=True):
        ids, values = ranked(row)
        model.add(ids, values, ids.astype(float), t, 4)
    _, best = all_paths(SCORES, TIMES)
    assert model.path().tolist() == [-1 if state == 4 else state for state in best]


def test_length_1_is_the_single_frame_ranking():
    scores = np.random.default_rng(4).normal(size=(6, 30))
    for row, one in zip(scores, run(HiddenMarkov(EVIDENCE, MOTION, length=1), scores, k=8), strict=True):
        assert one.ids.tolist() == ranked(row, 8)[0].tolist()
        assert (np.diff(one.probability) <= 0).all()


def test_a_frame_that_looks_like_another_place_is_put_right_and_one_left_out_is_carried():
    scores = np.full((9, 60), -1.0) + np.random.default_rng(5).normal(0, 0.02, (9, 60))
    scores[np.arange(9), np.arange(20, 29)] = -0.5
    scores[4] = -1.0
    scores[4, 50] = -0.4  # its own row is not even among the best
    scores[4, 51:56] = -0.9
    model = HiddenMarkov(Evidence(20, -4), Motion(forwards=2, backwards=2), lag=4)
    found = run(model, scores, k=5)
    assert [abs(int(one.ids[0]) - 20 - t) <= 2 for t, one in enumerate(found)] == [True] * 9
    assert found[5].ids[0] == 25
    assert found[5].probability[0] > 0.9


def test_says_new_where_nothing_stands_out_and_known_again_afterwards():
    rng = np.random.default_rng(6)
    scores = -1 + rng.normal(0, 0.02, (30, 50))
    scores[np.arange(10), np.arange(10)] += 0.5
    scores[np.arange(20, 30), np.arange(10, 20)] += 0.5
    new = np.array([one.new for one in run(HiddenMarkov(Evidence(30, -6)), scores, k=10)])
    assert (new[:10] < 0.5).all()
    assert (new[12:20] > 0.5).all()
    assert (new[21:] < 0.1).all()


def test_places_in_metres_are_reached_in_any_direction():
    near = Motion(forwards=5, backwards=1, slack=1).reaches(
        np.array([[0.0, 0], [100, 0]]), np.array([[0.0, 5.9], [0, 6.1], [100, -6]]), np.array([1.0, 1.0])
    )
    assert near.tolist() == [[True, False, False], [False, False, True]]


def test_memory_is_bounded_by_the_lag():
    model = HiddenMarkov(EVIDENCE, MOTION, lag=3)
    for t in range(50):
        model.add(np.arange(t, t + 5), -np.arange(5.0), np.arange(t, t + 5.0), float(t), 100)
    assert len(model._window) == 4
    assert all(len(frame.ids) <= 15 for frame in model._window)


def test_frames_without_any_row_are_of_new_places():
    model = HiddenMarkov(EVIDENCE, MOTION, length=2)
    nothing = np.array([-1, -1]), np.array([-np.inf, -np.inf]), np.zeros(2)
    assert model.add(*nothing, 0.0, 0).new == pytest.approx(1)
    assert model.add(*nothing, 1.0, 0).new == pytest.approx(1)
    assert model.path().tolist() == [-1, -1]
    assert HiddenMarkov(EVIDENCE).finish() == []


@pytest.mark.parametrize("wrong", [{"length": 0}, {"lag": -1}, {"length": 3, "lag": 3}, {"carry": -1}])
def test_refuses_lengths_that_make_no_sense(wrong):
    with pytest.raises(NetvladError):
        HiddenMarkov(EVIDENCE, **wrong)


@pytest.mark.parametrize("wrong", [{"forwards": -1}, {"stay": 1.0}, {"jump": 0.0}, {"slack": float("nan")}])
def test_refuses_motions_that_make_no_sense(wrong):
    with pytest.raises(NetvladError):
        Motion(**wrong)
