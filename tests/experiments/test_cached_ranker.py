from __future__ import annotations

import os

import numpy as np
import pytest

from netvlad.experiments.cached_ranker import CachedRanker, MemoizedRanker, stamp
from netvlad.types import Ranking


class Counting:
    """Ranks rows 0, 1, 2 ... for each query; counts how often it was asked."""

    name, dim, asked = "counting", 8, 0

    def rank(self, photos, k):
        type(self).asked += 1
        ids = np.tile(np.arange(k), (len(photos), 1))
        return Ranking(ids, -ids.astype(np.float32), {"search": 0.5}, {"/bad.jpg": "is empty"})


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / f"{i}.jpg" for i in range(3)]
    for path in paths:
        path.write_bytes(b"x")
    return [str(path) for path in paths]


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setattr(Counting, "asked", 0)
    return lambda **key: CachedRanker(Counting, tmp_path / "answers", {"model": "m", **key}, "m", dim=8)


def test_the_same_is_answered_from_disk(make, photos):
    first, again = make(), make()
    asked = first.rank(photos, 4)
    read = again.rank(photos, 4)
    assert Counting.asked == 1
    np.testing.assert_array_equal(read.ids, asked.ids)
    np.testing.assert_array_equal(read.scores, asked.scores)
    assert (read.ids.dtype, read.scores.dtype) == (asked.ids.dtype, asked.scores.dtype)
    assert (again.name, again.dim) == ("m", 8)
    assert (read.seconds, read.unreadable) == ({"search": 0.5}, {"/bad.jpg": "is empty"})
    assert (first.counts, again.counts) == ({"from disk": 0, "anew": 1}, {"from disk": 1, "anew": 0})


@pytest.mark.parametrize("change", ["depth", "order", "fewer", "content", "time", "gone", "key"])
def test_anything_else_is_asked_anew(make, photos, change):
    make().rank(photos, 4)
    again, k = make(**({"seed": 1} if change == "key" else {})), 4
    if change == "depth":
        k = 5
    elif change == "order":
        photos = photos[::-1]
    elif change == "fewer":
        photos = photos[:2]
    elif change == "content":
        with open(photos[0], "ab") as file:
            file.write(b"y")
    elif change == "time":
        os.utime(photos[0], ns=(1, 1))
    elif change == "gone":
        os.unlink(photos[0])
    assert again.rank(photos, k).ids.shape == (len(photos), k)
    assert Counting.asked == 2


@pytest.mark.parametrize("size", [0, 1, 50, -1])
def test_a_file_that_is_not_whole_counts_for_nothing(make, photos, tmp_path, size):
    ids = make().rank(photos, 4).ids
    (file,) = (tmp_path / "answers").iterdir()
    file.write_bytes(file.read_bytes()[:size])
    np.testing.assert_array_equal(make().rank(photos, 4).ids, ids)
    assert Counting.asked == 2
    make().rank(photos, 4)
    assert Counting.asked == 2  # written anew


def test_a_pickle_is_never_loaded(make, photos, tmp_path):
    make().rank(photos, 4)
    (file,) = (tmp_path / "answers").iterdir()
    with open(file, "wb") as stream:
        np.savez(stream, ids=np.array([object()]), scores=np.zeros(1), facts=np.array("{}"))
    make().rank(photos, 4)
    assert Counting.asked == 2


def test_the_ranker_is_made_once_and_only_when_needed(photos, tmp_path):
    made = []

    def maker():
        made.append(Counting())
        return made[-1]

    kept = CachedRanker(maker, tmp_path / "answers", {}, "m", dim=8)
    assert (made, kept.dim) == ([], 8)
    kept.rank(photos, 2)
    kept.rank(photos, 3)
    assert len(made) == 1


def test_stamps_of_paths_no_file_can_have():
    assert stamp(["a\0b", "\udcff"]) == stamp(["a\0b", "\udcff"]) != stamp(["a\0b"])


def test_memoized_rankings(monkeypatch):
    monkeypatch.setattr(Counting, "asked", 0)
    ranker = MemoizedRanker(Counting())
    first = ranker.rank(np.array(["q", "r"], object), 2)
    assert ranker.rank(["q", "r"], 2) is first
    assert first.ids.tolist() == [[0, 1], [0, 1]]
    assert (first.seconds, first.unreadable) == ({"search": 0.5}, {"/bad.jpg": "is empty"})
    assert Counting.asked == 1
    assert ranker.rank(["q"], 2).ids.tolist() == [[0, 1]]
    assert ranker.rank(["q"], 1).ids.tolist() == [[0]]
    assert Counting.asked == 3
    assert (ranker.name, ranker.dim) == ("counting", 8)
