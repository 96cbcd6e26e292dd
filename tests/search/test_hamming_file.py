from __future__ import annotations

import math

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.search.hamming_file import HammingFile
from netvlad.search.inverted_file import InvertedFile

U = np.uint64


def build(words, signatures, vocabulary, **options) -> HammingFile:
    words = [np.array(w, np.int64) for w in words]
    return HammingFile.build(words, [np.array(s, U) for s in signatures], vocabulary, **options)


def ones(n: int) -> int:
    return (1 << n) - 1


def dense(words, signatures, vocabulary, asked, marks, bursts, shares=None) -> list[float]:
    """Scores of all photos by loops over all pairs of features, in double precision."""
    size = len(words)
    votes: dict = {}
    for f, (several, own) in enumerate(zip(asked, marks, strict=True)):
        for word, mark in zip(several, own, strict=True):
            for entry in range(size):
                for i, (w, s) in enumerate(zip(words[entry], signatures[entry], strict=True)):
                    bits = int(mark ^ s).bit_count()
                    if word >= 0 and word == w and bits <= 24:
                        votes.setdefault(f, {}).setdefault(entry, []).append(
                            (math.exp(-((bits / 12) ** 2)), shares[entry][i] / 255 if shares else 1.0)
                        )
    scores = [0.0] * size
    for entries in votes.values():
        if bursts:
            for entry, found in entries.items():
                total = sum(v for v, _ in found)
                entries[entry] = [(v * math.sqrt(v / total), s) for v, s in found]
            total = sum(v for found in entries.values() for v, _ in found)
            for entry, found in entries.items():
                entries[entry] = [(v * v / total, s) for v, s in found]
        for entry, found in entries.items():
            scores[entry] += sum(v * s for v, s in found)
    norm = math.sqrt(sum(row[0] >= 0 for row in asked))
    lengths = [math.sqrt(len(p)) for p in words]
    return [s / (n * norm) if n and norm else 0.0 for s, n in zip(scores, lengths, strict=True)]


def test_scores_by_hand():
    """3 photos of 1, 2 and no features; the query has one."""
    file = build([[0], [0, 1], []], [[0], [ones(24), 0], []], 2)
    far = math.exp(-4)  # (24 / 12)^2
    exact = build([[0], [0, 1], []], [[0], [ones(25), 0], []], 2)
    asked = np.array([[0]]), np.array([[0]], U)
    np.testing.assert_allclose(exact.scores(*asked), [1, 0, 0], rtol=1e-6)  # 25 bits are no match
    # bursts over all entries: votes 1 and far, 1 + far their sum
    expected = [1 / (1 + far), far * far / (1 + far) / math.sqrt(2), 0]
    np.testing.assert_allclose(file.scores(*asked), expected, rtol=1e-6)
    plain = build([[0], [0, 1], []], [[0], [ones(24), 0], []], 2, bursts=False)
    np.testing.assert_allclose(plain.scores(*asked), [1, far / math.sqrt(2), 0], rtol=1e-6)
    # bursts within an entry: two matches of 12 bits in it, votes 1/e, each times sqrt(1/2); then each times 1/2 of all
    twice = build([[0, 0]], [[ones(12), ones(12)]], 1)
    np.testing.assert_allclose(twice.scores(*asked), 2 * math.exp(-1) * math.sqrt(0.5) / 2 / math.sqrt(2), rtol=1e-6)
    # a feature's second word matches too, and counts nothing in the query's norm
    asked = np.array([[0, 1]]), np.array([[ones(30), 0]], U)
    np.testing.assert_allclose(plain.scores(*asked)[1], (math.exp(-((6 / 12) ** 2)) + 1) / math.sqrt(2), rtol=1e-6)


def test_rare_words_count_no_more():
    """The same matches under a word of one photo and a word of all."""
    file = build([[0, 1], [1], [1]], [[0, 0], [ones(60)], [ones(60)]], 2)
    one, all_ = (file.scores(np.array([[word]]), np.zeros((1, 1), U)).tolist() for word in (0, 1))
    assert one == all_ == pytest.approx([1 / math.sqrt(2), 0, 0])


@pytest.mark.parametrize("bursts", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_scores_against_loops(bursts, shared):
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 6, rng.integers(0, 15)) for _ in range(9)]
    signatures = [U(ones(64)) >> rng.integers(40, 64, len(w)).astype(U) for w in words]
    weights = [rng.integers(0, 256, len(w)) for w in words] if shared else None
    file = HammingFile.build(words, signatures, 6, bursts=bursts)
    if shared:
        order = np.lexsort((np.repeat(np.arange(9), [len(w) for w in words]), np.concatenate(words)))
        file.shares = np.concatenate(weights)[order].astype(np.uint8)
    for _ in range(8):
        asked = np.stack([rng.permutation(6)[:2] for _ in range(12)])
        asked[rng.random(12) < 0.3, 1] = -1
        marks = U(ones(64)) >> rng.integers(35, 64, asked.shape).astype(U)
        expected = dense(words, signatures, 6, asked, marks, bursts, weights)
        np.testing.assert_allclose(file.scores(asked, marks), expected, rtol=1e-5, atol=1e-7)
        ids, scores = file.search(asked, marks, 4)
        assert sorted(expected, reverse=True)[: len(ids)] == pytest.approx(scores.tolist(), rel=1e-5)


def test_a_photo_is_most_like_itself():
    rng = np.random.default_rng(1)
    words = [rng.integers(0, 500, 200) for _ in range(20)]
    signatures = [rng.integers(0, 2**63, 200, dtype=np.int64).astype(U) for _ in range(20)]
    file = HammingFile.build(words, signatures, 500)
    for i in range(20):
        ids, scores = file.search(words[i][:, None], signatures[i][:, None], 3)
        assert ids[0] == i
        assert 0.8 < scores[0] <= 1


def test_postings_and_room():
    file = build([[1, 0, 1], [1]], [[7, 8, 9], [6]], 4)
    assert file.starts.tolist() == [0, 1, 4, 4, 4]
    assert file.entries.tolist() == [0, 0, 0, 1]
    assert file.signatures.tolist() == [8, 7, 9, 6]
    assert sum(a.itemsize for a in (file.entries, file.signatures)) == 12


def test_photos_that_share_an_entry():
    shared = build([[0, 1], [2], [1]], [[1, 2], [3], [4]], 3, entry=[1, 0, 1])
    joined = build([[2], [0, 1, 1]], [[3], [1, 2, 4]], 3)
    for a, b in zip(shared.arrays().values(), joined.arrays().values(), strict=True):
        assert a.tolist() == b.tolist()


def test_nothing_in_common_and_nothing_at_all():
    none = np.empty((0, 3), int), np.empty((0, 3), U)
    file = build([[0], []], [[0], []], 3)
    assert file.search(*none, 5)[0].tolist() == []
    assert file.search(np.array([[1]]), np.zeros((1, 1), U), 5)[0].tolist() == []
    assert file.search(np.array([[-1]]), np.zeros((1, 1), U), 5)[0].tolist() == []
    ids, scores = file.search(np.array([[0]]), np.zeros((1, 1), U), 5)
    assert (ids.tolist(), scores.tolist(), scores.dtype) == ([0], [1.0], np.float32)
    for empty in (build([], [], 3), build([[]], [[]], 3)):
        assert empty.search(np.array([[0], [2]]), np.zeros((2, 1), U), 5)[0].tolist() == []


def test_shares_of_an_inverted_file():
    words, signatures = [np.array([0, 1, 0, 0]), np.array([0])], [np.arange(4).astype(U), np.array([9], U)]
    inverted = InvertedFile.build(words, 3, bursts=False)
    inverted.shares = np.array([255, 51, 0], np.uint8)  # word 0 of both photos, word 1 of the first
    file = HammingFile.of_words(inverted, words, signatures)
    assert file.shares.tolist() == [255, 255, 255, 51, 0]
    assert file.bursts is False
    inverted.shares = None
    assert HammingFile.of_words(inverted, words, signatures).shares is None


def test_arrays_and_back():
    file = build([[0, 1], [1]], [[1, 2], [3]], 3, bursts=False)
    asked = np.array([[1, 0]]), np.array([[2, 2]], U)
    for shares in (None, np.array([9, 200, 30], np.uint8)):
        file.shares = shares
        again = HammingFile.of({**file.arrays(), "more": np.zeros(1)}, {**file.facts, "more": 1})
        np.testing.assert_array_equal(again.scores(*asked), file.scores(*asked))
        assert (again.size, again.bursts) == (2, False)


def test_wrong_arguments():
    file = build([[0, 1], [1]], [[1, 2], [3]], 3)
    for words in ([[3]], [[-2]]):
        with pytest.raises(NetvladError, match="words 0 to 2 are wanted"):
            file.scores(np.array(words), np.zeros((1, 1), U))
    with pytest.raises(NetvladError, match="words 0 to 2 are wanted"):
        build([[3]], [[1]], 3)
    with pytest.raises(NetvladError, match="a signature for each of 2 features is wanted"):
        build([[0, 1]], [[1]], 3)
    good = file.arrays()
    for change, why in (
        ({"starts": good["starts"][::-1]}, "rise from 0"),
        ({"signatures": good["signatures"][1:]}, r"3 postings are wanted, got signatures \(2,\)"),
        ({"shares": np.zeros(4)}, r"3 postings are wanted, got shares \(4,\)"),
        ({"entries": good["entries"] + 1}, "entries 0 to 1 are wanted, got 1 to 2"),
    ):
        with pytest.raises(NetvladError, match=why):
            HammingFile.of({**good, **change}, file.facts)
