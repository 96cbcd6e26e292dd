from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.search.vocabulary_tree import VocabularyTree


def descriptors(n: int, seed: int = 0, dim: int = 16) -> np.ndarray:
    x = np.random.default_rng(seed).random((n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def children(tree: VocabularyTree, level: int, node: int) -> list[int]:
    return [i for i, parent in enumerate(tree.levels[level][1]) if parent == node]


def by_hand(tree: VocabularyTree, x: np.ndarray, paths: int) -> tuple[list[int], list[int]]:
    """Words of rows of x, and the distances each took, in float64, a node at a time."""
    words, compared = [], []
    for v in x.astype(np.float64):
        kept, distances = [0], 0
        for level, (centres, _) in enumerate(tree.levels):
            candidates = [c for node in kept for c in children(tree, level, node)]
            distances += len(candidates)
            away = {c: float(((centres[c].astype(np.float64) - v) ** 2).sum()) for c in candidates}
            kept = sorted(candidates, key=away.get)[:paths]
        words.append(kept[0])
        compared.append(distances)
    return words, compared


@pytest.fixture(scope="module")
def tree() -> VocabularyTree:
    return VocabularyTree.fit(descriptors(3000), branching=5, depth=3)


def test_a_full_tree(tree):
    assert [len(centres) for centres, _ in tree.levels] == [5, 25, 125]
    assert (tree.words, tree.dim) == (125, 16)
    for level in range(3):
        assert {len(children(tree, level, node)) for node in range(5**level)} == {5}
    # a centre is about the mean of the descriptors that come to it
    x = descriptors(3000)
    words = tree.quantise(x)
    assert words.dtype == np.int32
    off = [np.abs(x[words == w].mean(axis=0) - tree.levels[2][0][w]).max() for w in range(125) if (words == w).any()]
    assert np.median(off) < 1e-3


@pytest.mark.parametrize("paths", [1, 2, 3, 7])
def test_words_against_a_plain_loop(tree, paths):
    x = descriptors(200, seed=1)
    words, compared = by_hand(tree, x, paths)
    assert tree.quantise(x, paths).tolist() == words
    if paths <= 5:
        assert set(compared) == {5 + 5 * paths * 2}  # k + k N (L - 1)


def test_as_many_paths_as_nodes_find_the_nearest_word(tree):
    x = descriptors(400, seed=2)
    away = ((x[:, None].astype(np.float64) - tree.levels[-1][0]) ** 2).sum(axis=2)
    nearest = away.argmin(axis=1)
    assert tree.quantise(x, 25).tolist() == nearest.tolist()
    assert tree.quantise(x, 10**6).tolist() == nearest.tolist()
    share = [np.mean(tree.quantise(x, paths) == nearest) for paths in (1, 2, 5, 25)]
    assert share == sorted(share)
    assert share[0] < 0.9


def test_blocks_and_company_change_nothing(tree, monkeypatch):
    x = descriptors(300, seed=3)
    words = tree.quantise(x, 3)
    assert [int(tree.quantise(row[None], 3)[0]) for row in x[:50]] == words[:50].tolist()
    monkeypatch.setattr("netvlad.search.vocabulary_tree.BLOCK", 7)
    assert tree.quantise(x, 3).tolist() == words.tolist()
    assert tree.quantise(x.astype(np.float64)[::-1], 3).tolist() == words[::-1].tolist()
    assert tree.quantise(x[:0]).tolist() == []


def test_the_seed_alone_decides():
    x = descriptors(1000)
    one, same, other = (VocabularyTree.fit(x, branching=4, depth=3, seed=seed) for seed in (7, 7, 8))
    for a, b in zip(one.levels, same.levels, strict=True):
        assert (a[0].tobytes(), a[1].tobytes()) == (b[0].tobytes(), b[1].tobytes())
    assert one.levels[0][0].tobytes() != other.levels[0][0].tobytes()


def test_fewer_descriptors_than_leaves():
    x = descriptors(30)
    tree = VocabularyTree.fit(x, branching=4, depth=4)
    assert tree.words == 30  # each has a leaf of its own
    assert sorted(tree.quantise(x, 100).tolist()) == list(range(30))
    assert tree.quantise(x[:10], 1).tolist() == by_hand(tree, x[:10], 1)[0]
    assert tree.quantise(x[:10], 3).tolist() == by_hand(tree, x[:10], 3)[0]
    for level, (centres, _) in enumerate(tree.levels[1:], 1):
        assert len(centres) <= 30
        assert all(1 <= len(children(tree, level, node)) <= 4 for node in range(len(tree.levels[level - 1][0])))


def test_descriptors_that_are_alike():
    same = VocabularyTree.fit(np.repeat(descriptors(1), 50, axis=0), branching=3, depth=3)
    assert [len(centres) for centres, _ in same.levels] == [1, 1, 1]
    assert same.quantise(descriptors(5, seed=9), 2).tolist() == [0] * 5
    one = VocabularyTree.fit(descriptors(1), branching=10, depth=2)
    assert one.words == 1
    two = VocabularyTree.fit(np.repeat(descriptors(2), 40, axis=0), branching=10, depth=2)
    words = two.quantise(descriptors(2), 10)
    assert len(set(words.tolist())) == 2
    np.testing.assert_allclose(two.levels[-1][0][words], descriptors(2), atol=1e-6)
    zero = VocabularyTree.fit(np.zeros((20, 8)), branching=3, depth=2)  # descriptors of no gradient
    assert zero.quantise(np.zeros((4, 8))).tolist() == [0] * 4


def test_wrong_arguments(tree):
    x = descriptors(10)
    for wrong, why in (
        (dict(descriptors=x[:0]), r"on local descriptors \(n, D\), got \(0, 16\)"),
        (dict(descriptors=x[0]), r"got \(16,\)"),
        (dict(descriptors=x, branching=1), "at least 2 .* got 1 and 5"),
        (dict(descriptors=x, depth=0), "got 10 and 0"),
        (dict(descriptors=np.where(np.arange(160).reshape(10, 16) == 70, np.nan, x)), "descriptor 4 holds"),
    ):
        with pytest.raises(NetvladError, match=why):
            VocabularyTree.fit(**wrong)
    with pytest.raises(NetvladError, match=r"\(n, 16\) are wanted, got \(3, 5\)"):
        tree.quantise(np.zeros((3, 5)))
    with pytest.raises(NetvladError, match="descriptor 1 holds"):
        tree.quantise([[0.0] * 16, [np.inf] * 16])
    with pytest.raises(NetvladError, match="at least 1 path"):
        tree.quantise(x, 0)


def test_levels_that_are_no_tree():
    centres = descriptors(4)
    VocabularyTree([(centres[:2], [0, 0]), (centres, [0, 0, 1, 1])])
    for levels, why in (
        ([], "at least 1 level"),
        ([(centres, [0, 0, 0])], r"\(4, 16\) and parents \(3,\)"),
        ([(centres, [0, 0, 0, 1])], "each of the 1 nodes"),
        ([(centres[:2], [0, 0]), (centres, [0, 1, 0, 1])], "in rising order"),
        ([(centres[:2], [0, 0]), (centres, [0, 0, 0, 0])], "each of the 2 nodes"),
        ([(centres[:2], [0, 0]), (centres[:, :3], [0, 0, 1, 1])], "level 1 has"),
        ([(centres * np.nan, [0, 0, 0, 0])], "infinite or NaN"),
    ):
        with pytest.raises(NetvladError, match=why):
            VocabularyTree(levels)


def test_saved_and_loaded(tree, tmp_path):
    tree.save(tmp_path / "tree")
    again = VocabularyTree.load(tmp_path / "tree")
    x = descriptors(100, seed=4)
    assert again.quantise(x, 3).tolist() == tree.quantise(x, 3).tolist()
    assert again.words == 125
    other = VocabularyTree.fit(descriptors(40, dim=8), branching=3, depth=2)
    other.save(tmp_path / "tree")  # replaces it
    assert VocabularyTree.load(tmp_path / "tree").dim == 8
    assert len(list((tmp_path / "tree").glob("*.safetensors"))) == 1


def test_loading_something_else(tree, tmp_path):
    from netvlad.runtime.artifacts import write_versioned

    with pytest.raises(PlaceIndexError, match=r"card\.json: cannot be read"):
        VocabularyTree.load(tmp_path)
    arrays = tree.arrays()
    for name, change in {"lacks": {"parents1": None}, "wrong": {"parents0": np.ones(5, np.int32)}}.items():
        kept = {k: v for k, v in {**arrays, **change}.items() if v is not None}
        write_versioned(tmp_path / name, kept, kind="vocabulary tree", facts={}, error=PlaceIndexError)
        with pytest.raises(PlaceIndexError, match="does not hold a vocabulary tree"):
            VocabularyTree.load(tmp_path / name)


def test_the_nearest_words_in_order():
    """With all paths: the words by their distance, as a loop over the leaves has them."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    tree = VocabularyTree.fit(x, branching=4, depth=2)
    leaves = tree.levels[-1][0].astype(np.float64)
    asked = rng.normal(size=(40, 6)).astype(np.float32)
    squared = np.square(asked[:, None].astype(np.float64) - leaves).sum(axis=2)
    found = tree.nearest(asked, len(tree.levels[0][0]), 3)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.argsort(squared, axis=1)[:, :3])
    for paths in (1, 2):
        few = tree.nearest(asked, paths, 5)
        np.testing.assert_array_equal(few[:, 0], tree.quantise(asked, paths))
        for row, words in enumerate(few):
            met = words[words >= 0]
            assert len(set(met)) == len(met) >= 1
            assert (np.diff(squared[row, met]) >= 0).all()
            assert (words[len(met) :] == -1).all()
            assert len(set(tree.levels[1][1][met])) <= paths
    assert tree.nearest(asked[:2], 1, 100).shape == (2, 100)  # more than there are
    with pytest.raises(NetvladError, match="to at least 1 word, got 1 and 0"):
        tree.nearest(asked, 1, 0)
