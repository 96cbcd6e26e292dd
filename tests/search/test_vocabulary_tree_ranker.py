from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.evaluation.run import evaluate
from netvlad.features.extraction import Extracted
from netvlad.features.store import FeatureStore
from netvlad.places import Neighbours, Places
from netvlad.search.distinctive import distinctive_shares
from netvlad.search.informative import most_informative
from netvlad.search.tree_fit import fit_tree
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.search.vocabulary_tree_ranker import VocabularyTreeRanker
from netvlad.types import Ranking

SMALL = {"branching": 6, "depth": 4, "workers": 0}


def texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [cv2.resize(rng.uniform(-1, 1, (150 // s + 2, 200 // s + 2, 3)), (200, 150)) for s in (4, 8, 16)]
    return np.clip(128 + 60 * sum(parts), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Paths of photos of 6 scenes, and of each seen again from elsewhere."""
    folder = tmp_path_factory.mktemp("scenes")
    first, again = [], []
    turn = cv2.getRotationMatrix2D((100, 75), 8, 0.92)
    for i in range(6):
        image = texture(i)
        seen = cv2.warpAffine(image, turn, (200, 150), borderMode=cv2.BORDER_REFLECT)
        for paths, pixels, name in ((first, image, "a"), (again, seen, "b")):
            paths.append(str(folder / f"{name}{i}.png"))
            Image.fromarray(pixels).save(paths[-1])
    return first, again


@pytest.fixture(scope="module")
def ranker(scenes):
    return VocabularyTreeRanker(scenes[0], **SMALL)


def same(a: Ranking, b: Ranking) -> None:
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.scores, b.scores)


def features(path: str) -> np.ndarray:
    return FeatureStore().of(path).descriptors


def test_the_same_scene_comes_first(scenes, ranker):
    ranking = ranker.rank(scenes[1], 4)
    ids, scores = ranking.ids, ranking.scores
    assert ids[:, 0].tolist() == list(range(6))
    assert (np.diff(scores, axis=1) <= 0).all()
    assert (scores[:, 0] > 1.5 * scores[:, 1]).all()
    assert (ids.dtype, scores.dtype, ids.shape) == (np.int64, np.float32, (6, 4))
    assert list(ranking.seconds) == ["fit tree on database", "describe database", "describe queries", "search"]
    assert (ranker.name, ranker.dim, ranking.unreadable) == ("vocabtree", None, {})
    ranking = ranker.rank(scenes[0], 1)
    itself, of = ranking.ids, ranking.scores
    assert itself[:, 0].tolist() == list(range(6))
    np.testing.assert_allclose(of, 1, rtol=1e-5)


def test_its_words_are_those_of_its_tree(scenes, ranker):
    x = np.concatenate([features(path) for path in scenes[0]])
    tree = VocabularyTree.fit(x, branching=6, depth=4)
    for a, b in zip(tree.levels, ranker.tree.levels, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    words = tree.quantise(features(scenes[1][2]), 5)
    ranking = ranker.rank([scenes[1][2]], 3)
    ids, scores = ranking.ids, ranking.scores
    entries, expected = ranker.inverted.search(words, 3)
    assert (ids[0].tolist(), scores[0].tolist()) == (entries.tolist(), expected.tolist())


def test_a_tree_of_other_photos_and_other_processes(scenes, ranker):
    tree = fit_tree(scenes[1], branching=6, depth=4, workers=0)
    here = VocabularyTreeRanker(scenes[0], tree, paths=2, workers=0)
    ranked = here.rank(scenes[1], 6)
    here.workers = 1
    same(ranked, here.rank(scenes[1], 6))
    here.workers = 0
    assert here.rank(scenes[1], 1).ids[:, 0].tolist() == list(range(6))
    assert "fit tree on database" not in ranked.seconds


def test_photos_without_features_or_readable_content(scenes, ranker, tmp_path):
    Image.new("RGB", (200, 150)).save(tmp_path / "black.png")
    Image.fromarray(texture(0)[:8, :8]).save(tmp_path / "small.png")
    (tmp_path / "bad.jpg").write_text("x")
    odd = [str(tmp_path / name) for name in ("black.png", "small.png", "bad.jpg")]
    for _ in range(2):
        ranking = ranker.rank([*odd, scenes[1][3]], 3)
        ids, scores = ranking.ids, ranking.scores
        assert ids[:3].tolist() == [[-1] * 3] * 3
        assert np.isneginf(scores[:3]).all()
        assert ids[3, 0] == 3
    reason = {odd[2]: "is not an image in a format Pillow can read"}
    assert ranking.unreadable == reason
    assert ranker.rank(scenes[1][3:4], 1).unreadable == {}
    mixed = VocabularyTreeRanker([odd[0], *scenes[0][:2], odd[2], scenes[0][2]], **SMALL)
    ranking = mixed.rank(scenes[1][:3], 9)  # more than there are
    assert ranking.unreadable == reason
    ids, scores = ranking.ids, ranking.scores
    assert ids[:, 0].tolist() == [1, 2, 4]
    assert ids.shape == (3, 9)
    assert not np.isin(ids, (0, 3)).any()
    assert np.isneginf(scores[ids < 0]).all()
    with pytest.raises(NetvladError, match="no local feature was found in any of 3 photos"):
        VocabularyTreeRanker(odd, **SMALL)
    with pytest.raises(NetvladError, match="in any of 0 photos"):
        VocabularyTreeRanker([], **SMALL)
    empty = VocabularyTreeRanker(odd, ranker.tree, workers=0)
    assert empty.rank(scenes[1][:1], 2).ids.tolist() == [[-1, -1]]


def test_one_photo(scenes):
    ranking = VocabularyTreeRanker(scenes[0][:1], **SMALL).rank(scenes[1][:2], 3)
    ids, scores = ranking.ids, ranking.scores
    assert ids[0].tolist() == [0, -1, -1]
    assert 0 < scores[0, 0] <= 1
    assert VocabularyTreeRanker(scenes[0][:1], **SMALL).rank([], 3).ids.shape == (0, 3)


def test_a_query_of_many_features(scenes, ranker, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (50_000, 128)).astype(np.uint8)
    monkeypatch.setattr("netvlad.search.vocabulary_tree_ranker.sift_of", lambda *_, **__: iter([Extracted(0, x)]))
    ranking = ranker.rank(["many"], 6)
    ids, scores = ranking.ids, ranking.scores
    assert sorted(ids[0].tolist()) == list(range(6))
    assert np.isfinite(scores).all()


def test_photos_of_one_place_share_an_entry(scenes):
    photos = [scenes[0][0], scenes[0][1], scenes[1][0], scenes[0][2]]
    shared = VocabularyTreeRanker(photos, places=["z", "b", "z", "a"], **SMALL)
    assert shared.inverted.size == 3
    ids = shared.rank([scenes[1][0], scenes[1][1], scenes[1][2]], 4).ids
    assert ids[:, 0].tolist() == [0, 1, 3]
    assert set(ids.ravel().tolist()) <= {-1, 0, 1, 3}
    with pytest.raises(NetvladError, match="a place for each of 4 photos is wanted, got 2"):
        VocabularyTreeRanker(photos, places=["z", "b"], **SMALL)


@pytest.fixture(scope="module")
def signed(scenes):
    return VocabularyTreeRanker(scenes[0], branching=6, hamming=True, workers=0)


def test_hamming_embedding(scenes, ranker, signed):
    assert len(signed.tree.levels) == 4
    ranking = signed.rank(scenes[1], 4)
    ids, scores = ranking.ids, ranking.scores
    assert ids[:, 0].tolist() == list(range(6))
    assert (scores[:, 0] > 3 * scores[:, 1]).all()  # clearer than by words alone
    x = features(scenes[1][2])
    words = signed.tree.nearest(x, 5, 3)
    entries, expected = signed.inverted.search(words, signed.embedding.signatures(x, words), 4)
    assert ids[2, : len(entries)].tolist() == entries.tolist()
    assert scores[2, : len(entries)].tolist() == expected.tolist()
    assert len(signed.inverted.entries) == sum(len(features(path)) for path in scenes[0])
    given = VocabularyTreeRanker(scenes[0], ranker.tree, hamming=True, workers=0)
    assert given.tree is ranker.tree
    ranking = given.rank(scenes[1], 1)
    assert list(ranking.seconds)[:2] == ["fit tree on database", "describe database"]
    assert ranking.ids[:, 0].tolist() == list(range(6))


def test_hamming_embedding_of_odd_photos(scenes, signed, tmp_path, monkeypatch):
    Image.new("RGB", (200, 150)).save(tmp_path / "black.png")
    Image.fromarray(texture(0)[:8, :8]).save(tmp_path / "small.png")
    (tmp_path / "bad.jpg").write_text("x")
    odd = [str(tmp_path / name) for name in ("black.png", "small.png", "bad.jpg")]
    ranking = signed.rank([*odd, scenes[1][3]], 3)
    ids, scores = ranking.ids, ranking.scores
    assert ids[:3].tolist() == [[-1] * 3] * 3
    assert np.isneginf(scores[:3]).all()
    assert ids[3, 0] == 3
    mixed = VocabularyTreeRanker([odd[0], *scenes[0][:2], odd[2]], branching=6, hamming=True, workers=0)
    assert mixed.rank(scenes[1][:2], 1).ids[:, 0].tolist() == [1, 2]
    one = VocabularyTreeRanker(scenes[0][:1], branching=6, hamming=True, workers=0)
    assert one.rank(scenes[1][:1], 2).ids.tolist() == [[0, -1]]
    x = np.random.default_rng(0).integers(0, 256, (50_000, 128)).astype(np.uint8)
    monkeypatch.setattr("netvlad.search.vocabulary_tree_ranker.sift_of", lambda *_, **__: iter([Extracted(0, x)]))
    ranking = signed.rank(["many"], 6)
    ids, scores = ranking.ids, ranking.scores
    assert np.isfinite(scores[ids >= 0]).all()


@pytest.mark.parametrize("hamming", [False, True])
def test_what_places_share_counts_less(scenes, ranker, hamming):
    from netvlad.places.place_matches import place_matches

    at = Places.build(path=scenes[0], easting=[0, 1, 100, 200, 300, 400], northing=0.0)
    near = place_matches(at, at, 25.0)
    learnt = VocabularyTreeRanker(scenes[0], ranker.tree, near=near, hamming=hamming, workers=0)
    expected = distinctive_shares(ranker.inverted, near)
    assert expected.min() < 255
    if hamming:
        expected = np.repeat(expected, ranker.inverted.counts)
    np.testing.assert_array_equal(learnt.inverted.shares, expected)
    assert learnt.rank(scenes[1], 1).ids[:, 0].tolist() == list(range(6))


def test_informative_features_alone(scenes, ranker):
    half = VocabularyTreeRanker(scenes[0], ranker.tree, informative=0.5, workers=0)
    words = [ranker.tree.quantise(features(path), 5) for path in scenes[0]]
    photo = np.repeat(np.arange(6), [len(w) for w in words])
    keep = most_informative(np.concatenate(words), photo, np.arange(6), 0.5)
    counts = np.bincount(half.inverted.entries, half.inverted.counts)
    assert counts.tolist() == np.bincount(photo[keep]).tolist()
    assert half.rank(scenes[1], 1).ids[:, 0].tolist() == list(range(6))
    x = np.concatenate([features(path) for path in scenes[0]])
    marked = VocabularyTreeRanker(scenes[0], ranker.tree, informative=0.5, hamming=True, workers=0)
    assert np.bincount(marked.inverted.entries).tolist() == counts.tolist()
    both = VocabularyTreeRanker(scenes[0], informative=0.5, **SMALL)
    expected = VocabularyTree.fit(x[keep], branching=6, depth=4)
    np.testing.assert_array_equal(both.tree.levels[0][0], expected.levels[0][0])


def test_saved_and_loaded(scenes, ranker, tmp_path):
    how = {"places": [0, 0, 1, 1, 2, 2], "paths": 2, "norm": "features", "workers": 0}
    shared = VocabularyTreeRanker(scenes[0], ranker.tree, **how)
    near = Neighbours(np.arange(7), np.arange(6), np.zeros(6))
    signed = VocabularyTreeRanker(scenes[0], ranker.tree, hamming=True, near=near, workers=0)
    for saved in (ranker, shared, signed):
        saved.save(tmp_path / "it")
        again = VocabularyTreeRanker.load(tmp_path / "it", scenes[0], workers=0)
        assert again.paths == saved.paths
        same(again.rank(scenes[1], 6), saved.rank(scenes[1], 6))
        again.save(tmp_path / "copy")
        assert (tmp_path / "copy" / "card.json").read_bytes() == (tmp_path / "it" / "card.json").read_bytes()
    for other in (scenes[1], scenes[0][::-1], scenes[0][:5]):
        with pytest.raises(PlaceIndexError, match="was built from other photos"):
            VocabularyTreeRanker.load(tmp_path / "it", other)
    other = "is a 'vocabulary tree ranker' of format 1; this version reads format 1 of vocabulary tree"
    with pytest.raises(PlaceIndexError, match=other):
        VocabularyTree.load(tmp_path / "it")


def test_how_features_are_found_is_saved_too(scenes, tmp_path):
    tuned = VocabularyTreeRanker(scenes[0], most=40, resize=300, enlarge=False, folder=tmp_path / "cache", **SMALL)
    tuned.save(tmp_path / "it")
    assert len(list((tmp_path / "cache").iterdir())) == 6
    again = VocabularyTreeRanker.load(tmp_path / "it", scenes[0], workers=0)
    assert again.options == {"most": 40, "resize": 300, "enlarge": False}
    np.testing.assert_array_equal(again.rank(scenes[1], 6).scores, tuned.rank(scenes[1], 6).scores)
    VocabularyTreeRanker.load(tmp_path / "it", scenes[0], workers=0, cache=tmp_path / "new").rank(scenes[1], 1)
    assert len(list((tmp_path / "new").iterdir())) == 6


def test_parts_that_do_not_fit(scenes, ranker, tmp_path):
    from netvlad.runtime.artifacts import read_artifact, write_versioned

    ranker.save(tmp_path / "it")
    arrays, facts = read_artifact(tmp_path / "it", kind="vocabulary tree ranker", error=PlaceIndexError)
    facts = {k: v for k, v in facts.items() if k not in ("kind", "format", "file", "checksum", "netvlad")}
    for change in (
        {"starts": np.append(arrays["starts"], arrays["starts"][-1])},  # one word more than the tree has
        {"photo": arrays["photo"][1:]},
        {"centres1": arrays["centres1"][1:]},
        {"size": 2},
        {"norm": "L3"},
        {"paths": 0},
    ):
        changed = {k: change.get(k, v) for k, v in arrays.items()}
        told = {k: change.get(k, v) for k, v in facts.items()}
        write_versioned(tmp_path / "it", changed, kind="vocabulary tree ranker", facts=told, error=PlaceIndexError)
        with pytest.raises(PlaceIndexError, match=r"does not hold|not of one vocabulary"):
            VocabularyTreeRanker.load(tmp_path / "it", scenes[0])


def test_an_evaluation_takes_it(scenes, ranker):
    database, queries = (Places.build(path=paths, easting=50.0 * np.arange(6), northing=0.0) for paths in scenes)
    found = evaluate({"words": ranker}, database, queries, Protocol(radius=5, ns=(1, 3))).methods[0]
    assert (found.recall, found.dim) == ({1: 1.0, 3: 1.0}, None)


def test_wrong_settings(scenes, ranker):
    with pytest.raises(NetvladError, match="at least 1 path must go down"):
        VocabularyTreeRanker(scenes[0], ranker.tree, paths=0)
    with pytest.raises(NetvladError, match="above 0, at most 1"):
        VocabularyTreeRanker(scenes[0], ranker.tree, informative=0, workers=0)
    with pytest.raises(NetvladError, match="most=0"):
        VocabularyTreeRanker(scenes[0], ranker.tree, most=0)
