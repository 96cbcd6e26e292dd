from __future__ import annotations

import math

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.search.informative import gains, information_gain, most_informative


def entropy(*parts: float) -> float:
    total = sum(parts)
    return -sum(p / total * math.log2(p / total) for p in parts if p)


def by_counts(a: int, b: int, here: int, photos: int) -> float:
    """H(place) less the mean of H(place) over photos that have the word and those that lack it."""
    having, lacking = a + b, photos - a - b
    left = (having / photos * entropy(a, b) if having else 0) + (
        lacking / photos * entropy(here - a, photos - here - b) if lacking else 0
    )
    return entropy(here, photos - here) - left


def test_gain_by_hand():
    # a word in all photos of the place and nowhere else tells all: H(place) of 1 in 4
    all_of_it = 0.25 * 2 + 0.75 * math.log2(4 / 3)
    assert information_gain(2, 0, 2, 8) == pytest.approx(all_of_it)
    assert information_gain(1, 3, 2, 8) == pytest.approx(0, abs=1e-12)  # as frequent everywhere
    assert information_gain(2, 6, 2, 8) == 0  # everywhere
    assert information_gain(0, 0, 2, 8) == 0
    assert information_gain(3, 0, 3, 3) == 0  # one place only: nothing to tell


def test_gain_against_counts():
    photos = 12
    for here in (1, 3, 11):
        for a in range(here + 1):
            for b in range(photos - here + 1):
                assert information_gain(a, b, here, photos) == pytest.approx(by_counts(a, b, here, photos), abs=1e-12)
    a, b = np.array([[0], [1], [3]]), np.arange(5)
    found = information_gain(a, b, 3, photos)
    assert found.shape == (3, 5)
    assert found[2, 4] == pytest.approx(by_counts(3, 4, 3, photos))


def test_gains_of_features():
    rng = np.random.default_rng(0)
    place = np.array([2, 0, 2, 1, 1, 2, 0, 1, 1])
    photo = np.sort(rng.integers(9, size=200))
    words = rng.geometric(0.2, size=200) - 1
    has = np.zeros((9, words.max() + 1), bool)
    has[photo, words] = True
    expected = []
    for w, p in zip(words, photo, strict=True):
        at = place == place[p]
        a, b = int(has[at, w].sum()), int(has[~at, w].sum())
        sign = 1 if a / at.sum() >= b / (~at).sum() else -1
        expected.append(sign * by_counts(a, b, int(at.sum()), 9))
    np.testing.assert_allclose(gains(words, photo, place), expected, atol=1e-12)
    assert min(expected) < 0 < max(expected)


def test_the_most_informative_of_each_place():
    # place 0: photos 0 and 1; place 1: photos 2 and 3. Word 9 is everywhere, 1 and 5 tell the places, 2 and 6 half
    words = np.array([9, 1, 2, 9, 1, 1, 9, 5, 9, 5, 6])
    photo = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3])
    place = np.array([0, 0, 1, 1])

    def kept(fraction: float) -> list[int]:
        return np.flatnonzero(most_informative(words, photo, place, fraction)).tolist()

    assert kept(1.0) == list(range(11))
    assert kept(0.6) == [1, 2, 4, 5, 7, 9, 10]  # 4 of 6 and 3 of 5
    assert kept(0.4) == [1, 4, 5, 7, 9]
    assert kept(0.01) == [1, 7]  # one of each at least, the first of equals
    shuffled = np.random.default_rng(1).permutation(11)
    mask = most_informative(words[shuffled], photo[shuffled], place, 0.6)
    assert sorted(shuffled[mask].tolist()) == kept(0.6)


def test_numbers_of_places_may_have_gaps():
    words, photo = np.array([0, 1, 2, 2]), np.array([0, 0, 1, 2])
    one = most_informative(words, photo, np.array([0, 1, 2]), 0.5)
    other = most_informative(words, photo, np.array([3, 9, 40]), 0.5)
    assert one.tolist() == other.tolist() == [True, False, True, True]


def test_fractions_are_of_whole_features():
    words, photo = np.arange(10), np.zeros(10, int)
    for fraction, n in ((0.1, 1), (0.3, 3), (0.7, 7), (0.71, 8), (1.0, 10)):
        assert most_informative(words, photo, np.zeros(1, int), fraction).sum() == n


def test_nothing_and_wrong_arguments():
    nothing = np.empty(0, int)
    assert most_informative(nothing, nothing, np.zeros(3, int), 0.5).tolist() == []
    for fraction in (0, -1, 1.1, math.nan):
        with pytest.raises(NetvladError, match="above 0, at most 1"):
            most_informative(nothing, nothing, nothing, fraction)
    with pytest.raises(NetvladError, match="a photo for each word"):
        gains([1, 2], [0], [0])
    with pytest.raises(NetvladError, match="photos 0 to 0 have a place, got 0 to 1"):
        gains([1, 2], [0, 1], [0])
