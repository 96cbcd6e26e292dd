from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.search import hamming
from netvlad.search.hamming import BITS, HammingEmbedding, bits_set, differing


@pytest.fixture
def training():
    rng = np.random.default_rng(0)
    words = np.concatenate([np.zeros(41, int), np.full(30, 2), np.full(7, 3)])
    return (rng.normal(size=(len(words), 70)) + 3 * words[:, None]).astype(np.float32), words


def as_bits(x: np.uint64) -> list[int]:
    return np.unpackbits(np.array([x], np.uint64).view(np.uint8)).tolist()


def test_medians_and_bits_by_loops(training):
    x, words = training
    embedding = HammingEmbedding.fit(x, words, 5)
    p = embedding.projection.astype(np.float64)
    np.testing.assert_allclose(p @ p.T, np.eye(BITS), atol=1e-6)
    projected = x.astype(np.float64) @ p.T
    for word in (0, 2):
        np.testing.assert_allclose(embedding.medians[word], np.median(projected[words == word], axis=0), atol=1e-5)
    for word in (1, 3, 4):  # none, or fewer than 8
        np.testing.assert_allclose(embedding.medians[word], np.median(projected, axis=0), atol=1e-5)
    found = embedding.signatures(x[:50], words[:50, None])
    assert (found.shape, found.dtype) == ((50, 1), np.uint64)
    for row in range(50):
        above = projected[row] - embedding.medians[words[row]]
        clear = np.abs(above) > 1e-5  # one descriptor of an odd number is the median itself
        np.testing.assert_array_equal(np.array(as_bits(found[row, 0]))[clear], (above > 0)[clear])
    share = np.mean([as_bits(s) for s in embedding.signatures(x[:41], words[:41, None])[:, 0]])
    assert share == pytest.approx(20 / 41, abs=0.01)  # 41 values: 20 are above their median


def test_near_descriptors_differ_in_few_bits():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 128)).astype(np.float32)
    word = np.zeros((400, 1), int)
    embedding = HammingEmbedding.fit(x, word[:, 0], 1)
    own = embedding.signatures(x, word)[:, 0]
    near = embedding.signatures(x + 0.2 * rng.normal(size=x.shape), word)[:, 0]
    assert differing(own, near).mean() < 8
    assert 28 < differing(own, np.roll(own, 1)).mean() < 36


def test_several_words_and_none(training):
    x, words = training
    embedding = HammingEmbedding.fit(x, words, 4)
    found = embedding.signatures(x[:3], np.array([[0, 2, -1], [3, -1, -1], [2, 0, 1]]))
    assert found[0, 0] == embedding.signatures(x[:1], np.array([[0]]))[0, 0]
    assert found[2, 1] == embedding.signatures(x[2:3], np.array([[0]]))[0, 0]
    assert found[[0, 1, 1], [2, 1, 2]].tolist() == [0, 0, 0]
    assert embedding.signatures(np.empty((0, 70), np.float32), np.empty((0, 3), int)).shape == (0, 3)


def test_ones_are_counted(monkeypatch):
    x = np.array([0, 1, 2**64 - 1, 0xF0F0F0F0F0F0F0F0, 2**63 + 5], np.uint64)
    assert bits_set(x).tolist() == [0, 1, 64, 32, 3]
    assert differing(x, x).tolist() == [0] * 5

    class Older:
        """NumPy before 2."""

        def __getattr__(self, name):
            if name == "bitwise_count":
                raise AttributeError(name)
            return getattr(np, name)

    monkeypatch.setattr(hamming, "np", Older())
    assert bits_set(x).tolist() == [0, 1, 64, 32, 3]
    assert bits_set(x[:0]).tolist() == []


def test_the_same_again_and_from_arrays(training):
    x, words = training
    one, same, other = (HammingEmbedding.fit(x, words, 4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.medians, same.medians)
    assert (one.projection != other.projection).any()
    again = HammingEmbedding.of({**one.arrays(), "more": x})
    np.testing.assert_array_equal(again.signatures(x, words[:, None]), one.signatures(x, words[:, None]))
    assert again.words == 4


def test_wrong_arguments(training):
    x, words = training
    for given in ((x[:, :63], words), (x, words[1:]), (x[:0], words[:0]), (x[0], words)):
        with pytest.raises(NetvladError, match=r"descriptors \(n, 64\+\) and words \(n,\) are wanted"):
            HammingEmbedding.fit(*given, 4)
    for wrong in (words + 1, words - 1):
        with pytest.raises(NetvladError, match="words 0 to 3 are wanted"):
            HammingEmbedding.fit(x, wrong, 4)
    with pytest.raises(NetvladError, match=r"got \(63, 70\) and \(4, 64\)"):
        HammingEmbedding(np.zeros((63, 70)), np.zeros((4, 64)))
