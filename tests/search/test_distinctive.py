from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places
from netvlad.places.place_matches import place_matches
from netvlad.search import distinctive
from netvlad.search.distinctive import distinctive_shares, distinctive_vectors
from netvlad.search.inverted_file import InvertedFile


def neighbours(rows: list[list[int]]) -> Neighbours:
    ids = np.array([i for row in rows for i in row], np.int64)
    return Neighbours(np.cumsum([0] + [len(row) for row in rows]), ids, np.zeros(len(ids)))


def alone(n: int) -> Neighbours:
    return neighbours([[i] for i in range(n)])


def unit(rng, *shape) -> np.ndarray:
    x = np.abs(rng.normal(size=shape))
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def regression(x, i: int, near: set, hardest: int) -> np.ndarray:
    """What is left of row i, by another way: ridge regression of x_i on its negatives, as least squares."""
    far = [j for j in range(len(x)) if j not in near and x[i] @ x[j] > 0]
    far = sorted(far, key=lambda j: -(x[i] @ x[j]))[:hardest]
    if not far:
        return x[i]
    n = x[far].astype(np.float64).T
    stacked = np.vstack([n, np.sqrt(0.1) * np.eye(len(far))])
    a = np.linalg.lstsq(stacked, np.concatenate([x[i], np.zeros(len(far))]), rcond=None)[0]
    return x[i] - n @ a


def test_one_negative_by_hand():
    """x less (c / 1.1) of its negative, c being their cosine."""
    x = np.array([[1, 0], [0.6, 0.8]], np.float32)
    found = distinctive_vectors(x, alone(2))
    w = np.array([1 - 0.6 * 0.6 / 1.1, -0.8 * 0.6 / 1.1])
    np.testing.assert_allclose(found[0], w / np.linalg.norm(w), rtol=1e-6)
    # as bags: words 0 and 1 in the first, 1 and 2 in the second
    inverted = InvertedFile.build([[0, 1], [1, 2]], 3)
    rare, common = np.log(3), np.log(1.5)
    length = np.hypot(rare, common)
    left = 1 - (common / length) ** 2 / 1.1
    assert distinctive_shares(inverted, alone(2)).tolist() == [255, *[round(255 * left)] * 2, 255]


@pytest.mark.parametrize("hardest", [100, 3])
def test_against_least_squares(monkeypatch, hardest):
    monkeypatch.setattr(distinctive, "HARDEST", hardest)
    monkeypatch.setattr(distinctive, "BLOCK", 4)
    rng = np.random.default_rng(0)
    x = unit(rng, 11, 20)
    near = [sorted({i, (i + 1) % 11, (i - 1) % 11}) for i in range(11)]
    found = distinctive_vectors(x, neighbours(near))
    for i in range(11):
        w = regression(x, i, set(near[i]), hardest)
        np.testing.assert_allclose(found[i], w / np.linalg.norm(w), atol=1e-5)
    words = [rng.integers(0, 12, 15) for _ in range(11)]
    inverted = InvertedFile.build(words, 12)
    bags = np.zeros((11, 12))
    word = np.repeat(np.arange(12), np.diff(inverted.starts))
    bags[inverted.entries, word] = inverted.weights()
    bags /= np.linalg.norm(bags, axis=1, keepdims=True)
    shares = distinctive_shares(inverted, neighbours(near))
    assert shares.dtype == np.uint8
    for posting, (entry, w) in enumerate(zip(inverted.entries, word, strict=True)):
        left = regression(bags, entry, set(near[entry]), hardest)[w] / bags[entry, w]
        assert shares[posting] == pytest.approx(255 * np.clip(left, 0, 1), abs=0.51)


def test_only_photos_of_other_places_take_away():
    x = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    words = [[0, 1], [0, 1], [0, 1]]
    every = neighbours([[0, 1, 2]] * 3)
    np.testing.assert_array_equal(distinctive_vectors(x, every), x)
    assert distinctive_shares(InvertedFile.build(words, 2), every).tolist() == [255] * 6
    # photos of one entry: what is near one of them is near the entry
    pair = InvertedFile.build(words, 2, entry=[0, 1, 0])
    assert distinctive_shares(pair, neighbours([[0], [1, 2], [1, 2]]), np.array([0, 1, 0])).tolist() == [255] * 4
    apart = distinctive_shares(pair, alone(3), np.array([0, 1, 0]))
    assert (apart < 40).all()  # 1 / 11 is left


def test_positions_and_labels_tell_the_negatives():
    at = Places.build(path=["a", "b", "c"], easting=[0.0, 20, 60], northing=0.0)
    x = unit(np.random.default_rng(1), 3, 8)
    found = distinctive_vectors(x, place_matches(at, at, 25.0))
    for i, near in enumerate(({0, 1}, {0, 1}, {2})):
        w = regression(x, i, near, 100)
        np.testing.assert_allclose(found[i], w / np.linalg.norm(w), atol=1e-5)
    named = Places.build(path=["a", "b", "c"], place=["x", "x", "y"])
    np.testing.assert_array_equal(distinctive_vectors(x, place_matches(named, named, 25.0)), found)


def test_one_photo_none_and_photos_without_features():
    one = unit(np.random.default_rng(0), 1, 4)
    np.testing.assert_array_equal(distinctive_vectors(one, alone(1)), one)
    assert distinctive_vectors(np.empty((0, 4), np.float32), alone(0)).shape == (0, 4)
    assert distinctive_shares(InvertedFile.build([[0]], 2), alone(1)).tolist() == [255]
    assert distinctive_shares(InvertedFile.build([], 2), alone(0)).tolist() == []
    assert distinctive_shares(InvertedFile.build([[], [0], []], 2), alone(3)).tolist() == [255]


def test_neighbours_of_other_photos_are_refused():
    with pytest.raises(NetvladError, match="neighbours of 2 photos are needed, got those of 3"):
        distinctive_vectors(unit(np.random.default_rng(0), 2, 4), alone(3))
    with pytest.raises(NetvladError, match="neighbours of 3 photos are needed, got those of 2"):
        distinctive_shares(InvertedFile.build([[0], [1]], 2, entry=[0, 1]), alone(2), np.array([0, 1, 1]))


def test_what_was_given_stays_as_it_was():
    x = unit(np.random.default_rng(2), 5, 6)
    before = x.copy()
    found = distinctive_vectors(x, alone(5))
    np.testing.assert_array_equal(x, before)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_it_helps_where_places_share_a_thing():
    """Of each place one direction of its own and much of one that all have: queries see the common part stronger."""
    rng = np.random.default_rng(3)
    own, common = np.eye(30, 31), np.eye(31)[30]
    x = own + (1 + rng.random((30, 1))) * common
    query = own / 2 + 3 * common + rng.normal(scale=0.1, size=own.shape)
    x, query = ((v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (x, query))
    before = (query @ x.T).argmax(axis=1) == np.arange(30)
    after = (query @ distinctive_vectors(x, alone(30)).T).argmax(axis=1) == np.arange(30)
    assert after.mean() > 0.95 > 0.6 > before.mean()


def test_small_systems_run_on_one_thread_of_the_blas(monkeypatch):
    seen, solve = [], distinctive._coefficients

    def watched(*given):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return solve(*given)

    monkeypatch.setattr(distinctive, "_coefficients", watched)
    with threadpool_limits(2, user_api="blas"):
        distinctive_vectors(unit(np.random.default_rng(0), 4, 20), alone(4))
    assert set(seen) <= {1}
