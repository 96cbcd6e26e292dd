from __future__ import annotations

import math

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.search.inverted_file import InvertedFile

WORDS = [np.array(w) for w in ([0, 0, 0, 0, 1], [1, 2], [1, 3, 3], [])]


def dense(words, vocabulary: int, query, norm: str, bursts: bool) -> list[float]:
    """Scores of all photos, by loops in float64."""
    size = len(words)
    having = [sum(w in set(photo) for photo in words) for w in range(vocabulary)]

    def vector(photo) -> list[float]:
        times = [sum(1 for w in photo if w == v) for v in range(vocabulary)]
        tf = [math.sqrt(t) for t in times] if bursts else times
        return [t * math.log((size + 1) / max(n, 1)) for t, n in zip(tf, having, strict=True)]

    def length(photo) -> float:
        return math.sqrt(sum(v * v for v in vector(photo))) if norm == "length" else len(photo)

    def dot(a, b) -> float:
        return sum(x * y for x, y in zip(vector(a), vector(b), strict=True))

    return [dot(query, p) / (length(query) * length(p)) if len(p) and len(query) else 0.0 for p in words]


def test_scores_by_hand():
    """4 photos, the last without features: idf = log 5 of the words of one photo, log 5/3 of word 1."""
    rare, common = math.log(5), math.log(5 / 3)
    inverted = InvertedFile.build(WORDS, 5)
    lengths = [math.hypot(2 * rare, common), math.hypot(common, rare), math.hypot(common, math.sqrt(2) * rare)]
    expected = [common**2 / (common * n) for n in lengths] + [0]
    np.testing.assert_allclose(inverted.scores([1]), expected, rtol=1e-6)
    asked = math.hypot(rare, common)
    shared = [2 * rare**2 + common**2, common**2, common**2]
    expected = [s / (asked * n) for s, n in zip(shared, lengths, strict=True)] + [0]
    np.testing.assert_allclose(inverted.scores([0, 1]), expected, rtol=1e-6)
    # by the number of features, and without regard to bursts
    inverted = InvertedFile.build(WORDS, 5, norm="features", bursts=False)
    expected = [(4 * rare**2 + common**2) / (2 * 5), common**2 / (2 * 2), common**2 / (2 * 3), 0]
    np.testing.assert_allclose(inverted.scores([0, 1]), expected, rtol=1e-6)


@pytest.mark.parametrize("norm", ["length", "features"])
@pytest.mark.parametrize("bursts", [True, False])
def test_scores_against_dense_loops(norm, bursts):
    rng = np.random.default_rng(0)
    words = [rng.geometric(0.15, size=rng.integers(0, 30)).clip(max=24) for _ in range(25)]
    inverted = InvertedFile.build(words, 30, norm=norm, bursts=bursts)
    for _ in range(10):
        query = rng.geometric(0.1, size=20).clip(max=29)
        expected = dense(words, 30, query, norm, bursts)
        np.testing.assert_allclose(inverted.scores(query), expected, rtol=2e-6, atol=1e-7)
        ids, scores = inverted.search(query, 8)
        best = [i for i in np.argsort(-np.array(expected), kind="stable")[:8] if expected[i] > 0]
        assert sorted(np.array(expected)[ids], reverse=True) == pytest.approx([expected[i] for i in best], rel=1e-5)
        np.testing.assert_array_equal(scores, inverted.scores(query)[ids])
    same = InvertedFile.build(words, 30, norm="length", bursts=bursts)
    assert same.scores(words[3])[3] == pytest.approx(1)  # the cosine of a photo with itself


def test_postings():
    inverted = InvertedFile.build(WORDS, 5)
    assert inverted.starts.tolist() == [0, 1, 4, 5, 6, 6]
    assert inverted.entries.tolist() == [0, 0, 1, 2, 1, 2]
    assert inverted.counts.tolist() == [4, 1, 1, 1, 1, 2]
    assert (inverted.entries.dtype, inverted.counts.dtype) == (np.int32, np.uint16)
    assert (inverted.size, inverted.words) == (4, 5)


def test_ties_come_in_order_and_what_shares_nothing_does_not_come():
    inverted = InvertedFile.build([[7], [1], [7], [7, 7, 7], [2], [7], []], 8)
    for k in range(6):
        assert inverted.search([7, 7], k)[0].tolist() == [0, 2, 3, 5][:k]
    assert inverted.search([1, 2, 2], 9)[0].tolist() == [4, 1]
    assert inverted.search([3], 5)[0].tolist() == []
    ids, scores = inverted.search([], 5)
    assert (ids.tolist(), scores.tolist(), scores.dtype) == ([], [], np.float32)


def test_one_photo_and_none():
    one = InvertedFile.build([[3, 4]], 6)
    assert one.search([4, 3], 10)[0].tolist() == [0]
    assert one.search([4, 3], 10)[1] == pytest.approx([1])
    assert one.search([0], 10)[0].tolist() == []
    for nothing in (InvertedFile.build([], 6), InvertedFile.build([[]], 6)):
        assert nothing.search([1, 2, 5], 3)[0].tolist() == []


def test_photos_that_share_an_entry():
    shared = InvertedFile.build(WORDS[:3], 5, entry=[1, 0, 1])
    joined = InvertedFile.build([WORDS[1], np.concatenate([WORDS[0], WORDS[2]])], 5)
    assert shared.size == 2
    for a, b in zip(shared.arrays().values(), joined.arrays().values(), strict=True):
        assert a.tolist() == b.tolist()
    np.testing.assert_array_equal(shared.scores([0, 1, 3]), joined.scores([0, 1, 3]))


def test_a_word_that_fills_a_photo():
    inverted = InvertedFile.build([np.zeros(70_000, int), [1]], 2)
    assert inverted.counts.tolist() == [65535, 1]
    query = np.arange(50_000) % 2
    ids, scores = inverted.search(query, 2)
    assert ids.tolist() == [0, 1]
    np.testing.assert_allclose(scores, [math.sqrt(0.5)] * 2, rtol=1e-6)


def test_arrays_and_back():
    inverted = InvertedFile.build(WORDS, 5, norm="features", bursts=False)
    again = InvertedFile.of({**inverted.arrays(), "more": np.zeros(1)}, {**inverted.facts, "more": 1})
    np.testing.assert_array_equal(again.scores([0, 1, 3]), inverted.scores([0, 1, 3]))
    assert (again.norm, again.bursts, again.size) == ("features", False, 4)


def test_shares():
    """Each posting's share scales its votes; norms stay."""
    inverted = InvertedFile.build(WORDS, 5)
    whole = inverted.scores([0, 1, 3])
    parts = [inverted.scores([0, 1, 3])[2]]
    inverted.shares = np.full(6, 255, np.uint8)
    np.testing.assert_array_equal(inverted.scores([0, 1, 3]), whole)
    inverted.shares[5] = 51  # word 3 of photo 2
    asked = math.hypot(math.sqrt(2) * math.log(5), math.log(5 / 3))
    length = math.hypot(math.log(5 / 3), math.sqrt(2) * math.log(5))
    expected = (math.log(5 / 3) ** 2 + math.sqrt(2) * math.log(5) ** 2 / 5) / (asked * length)
    assert inverted.scores([0, 1, 3])[2] == pytest.approx(expected, rel=1e-6)
    assert expected < parts[0]
    again = InvertedFile.of(inverted.arrays(), inverted.facts)
    np.testing.assert_array_equal(again.scores([0, 1, 3]), inverted.scores([0, 1, 3]))
    with pytest.raises(NetvladError, match=r"6 postings are wanted, got shares \(5,\)"):
        InvertedFile.of({**inverted.arrays(), "shares": np.zeros(5)}, inverted.facts)


def test_wrong_arguments():
    inverted = InvertedFile.build(WORDS, 5)
    for words in ([5], [-1, 2]):
        with pytest.raises(NetvladError, match="words 0 to 4 are wanted"):
            inverted.scores(words)
        with pytest.raises(NetvladError, match="words 0 to 4 are wanted"):
            InvertedFile.build([words], 5)
    with pytest.raises(NetvladError, match="choose one of length, features"):
        InvertedFile.build(WORDS, 5, norm="L3")
    for entry in ([0, 1], [0, 1, -1, 2]):
        with pytest.raises(NetvladError, match="for each of 4 photos"):
            InvertedFile.build(WORDS, 5, entry=entry)
    good = inverted.arrays()
    for change, why in (
        ({"starts": good["starts"][::-1]}, "rise from 0"),
        ({"starts": np.empty(0)}, "rise from 0"),
        ({"starts": good["starts"] * 2}, "12 postings are wanted"),
        ({"counts": good["counts"][1:]}, "6 postings are wanted"),
        ({"entries": good["entries"] + 2}, "entries 0 to 3 are wanted, got 2 to 4"),
    ):
        with pytest.raises(NetvladError, match=why):
            InvertedFile.of({**good, **change}, inverted.facts)
