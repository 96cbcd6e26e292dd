from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.features.store import FeatureStore
from netvlad.search.informative import most_informative
from netvlad.search.tree_fit import fit_tree, numbered
from netvlad.search.vocabulary_tree import VocabularyTree


@pytest.fixture
def scenes(photos):
    return photos(4, size=(160, 120))


def features(path: str) -> np.ndarray:
    return FeatureStore().of(path).descriptors


def test_of_all_features(scenes, tmp_path):
    tree = fit_tree([scenes[0], str(tmp_path / "none.jpg"), *scenes[1:]], branching=3, depth=2, workers=0)
    expected = VocabularyTree.fit(np.concatenate([features(path) for path in scenes]), branching=3, depth=2)
    for a, b in zip(tree.levels, expected.levels, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_of_informative_features(scenes):
    x = np.concatenate([features(path) for path in scenes])
    photo = np.repeat(np.arange(4), [len(features(path)) for path in scenes])
    first = VocabularyTree.fit(x, branching=4, depth=3)
    places = np.array([1, 0, 1, 0])
    keep = most_informative(first.quantise(x, 2), photo, places, 0.4)
    expected = VocabularyTree.fit(x[keep], branching=4, depth=3)
    given = {"branching": 4, "depth": 3, "informative": 0.4, "paths": 2, "workers": 0}
    tree = fit_tree(scenes, places=["b", "a", "b", "a"], **given)
    for a, b in zip(tree.levels, expected.levels, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_many_photos_are_sampled(scenes, monkeypatch):
    monkeypatch.setattr("netvlad.search.tree_fit.PHOTOS", 3)
    monkeypatch.setattr("netvlad.search.tree_fit.FEATURES", 15)
    kept = []
    whole = VocabularyTree.fit
    monkeypatch.setattr(VocabularyTree, "fit", lambda x, **how: kept.append(x) or whole(x, **how))
    for seed in (0, 0, 1):
        fit_tree(scenes, branching=3, depth=2, seed=seed, workers=0)
    assert [len(x) for x in kept] == [15, 15, 15]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0], kept[2])


def test_numbers_of_places():
    first, place = numbered(list("abcde"), ["x", "c", "x", "a", "c"])
    assert (first.tolist(), place.tolist()) == ([0, 1, 3], [0, 1, 0, 2, 1])
    first, place = numbered(list("abc"), None)
    assert (first.tolist(), place.tolist()) == ([0, 1, 2], [0, 1, 2])
    with pytest.raises(NetvladError, match="for each of 3 photos is wanted, got 2"):
        numbered(list("abc"), [1, 2])


def test_nothing_to_fit_on(tmp_path):
    for photos in ([], [str(tmp_path / "none.jpg")]):
        with pytest.raises(NetvladError, match=f"in any of {len(photos)} photos"):
            fit_tree(photos, workers=0)
