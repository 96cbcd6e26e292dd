from __future__ import annotations

import numpy as np
import pytest

from netvlad.describe import stream
from netvlad.errors import NetvladError
from netvlad.places import Neighbours
from netvlad.search.distinctive import distinctive_vectors
from netvlad.search.rankers import Described, MemoryRanker, Sweep


def brute_force(describer, database, queries, k: int):
    """(ids, scores) by the definition: negative squared distances of the vectors."""
    a, b = describer.describe(queries).astype(np.float64), describer.describe(database).astype(np.float64)
    squared = ((a[:, None] - b) ** 2).sum(-1)
    ids = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return ids, -np.take_along_axis(squared, ids, 1)


@pytest.fixture
def bad(tmp_path):
    def make(name: str) -> str:
        (tmp_path / name).write_text("no photo")
        return str(tmp_path / name)

    return make


REASON = "is not an image in a format Pillow can read"


def test_memory_ranker_is_brute_force(photos, grid):
    database, queries = photos(40), photos(9, seed=1)
    ranker = MemoryRanker(grid(), database, workers=0)
    ranking = ranker.rank(queries, 6)
    ids, scores = ranking.ids, ranking.scores
    want, values = brute_force(grid(), database, queries, 6)
    np.testing.assert_array_equal(ids, want)
    np.testing.assert_allclose(scores, values, atol=1e-5)
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    assert (ranker.name, ranker.dim, ranking.unreadable) == ("grid", 48, {})
    assert list(ranking.seconds) == ["describe database", "describe queries", "search"]
    assert all(s >= 0 for s in ranking.seconds.values())


def test_memory_ranker_by_what_is_distinctive(photos, grid, bad):
    """The vectors searched are those of the photos that can be read, less what photos of other places explain."""
    good, queries = photos(12), photos(4, seed=1)
    database = [good[0], bad("a.jpg"), *good[1:]]
    near = neighbours([{i, i ^ 1} & set(range(13)) for i in range(13)])
    ranker = MemoryRanker(grid(), database, near=near, workers=0)
    ranking = ranker.rank(queries, 12)
    ids, scores = ranking.ids, ranking.scores
    x = np.zeros((13, 48), np.float32)
    x[[0, *range(2, 13)]] = grid().describe(good)
    found = distinctive_vectors(x, near)
    assert not np.allclose(found, x)
    rows = np.array([0, *range(2, 13)])
    squared = ((grid().describe(queries).astype(np.float64)[:, None] - found[rows]) ** 2).sum(-1)
    order = np.argsort(squared, axis=1, kind="stable")
    np.testing.assert_array_equal(ids, rows[order])
    np.testing.assert_allclose(scores, -np.take_along_axis(squared, order, 1), atol=1e-5)
    assert list(ranking.seconds)[:2] == ["describe database", "distinctive database"]


def neighbours(rows: list) -> Neighbours:
    ids = np.array([i for row in rows for i in sorted(row)], np.int64)
    return Neighbours(np.cumsum([0] + [len(row) for row in rows]), ids, np.zeros(len(ids)))


def test_memory_ranker_keeps_its_ids_right_with_unreadable_photos(photos, grid, bad):
    good, queries = photos(5), [*photos(2, seed=1), bad("q.jpg")]
    database = [bad("a.jpg"), good[0], good[1], bad("b.jpg"), bad("c.jpg"), *good[2:]]
    ranker = MemoryRanker(grid(), database)
    ranking = ranker.rank(queries, 7)
    ids, scores = ranking.ids, ranking.scores
    want, _ = brute_force(grid(), good, queries[:2], 5)
    np.testing.assert_array_equal(ids[:2, :5], np.array([1, 2, 5, 6, 7])[want])
    assert (ids[:2, 5:] == -1).all()
    assert (ids[2] == -1).all()
    assert np.isneginf(scores[ids < 0]).all()
    assert ranking.unreadable == {path: REASON for path in (database[0], database[3], database[4], queries[2])}


def test_memory_ranker_of_unreadable_photos_only(photos, grid, bad):
    ids = MemoryRanker(grid(), [bad("a.jpg")]).rank(photos(1), 3).ids
    assert ids.tolist() == [[-1, -1, -1]]


def test_photos_are_decoded_by_as_many_workers_as_given(photos, grid, monkeypatch):
    told, whole = [], stream.decode_photos

    def noted(*args, workers, **more):
        told.append(workers)
        return whole(*args, workers=workers, **more)

    monkeypatch.setattr(stream, "decode_photos", noted)
    MemoryRanker(grid(), photos(2), workers=0).rank(photos(1, seed=1), 1)
    assert told == [0] * 2


def test_ties_in_memory_come_in_the_order_of_the_rows():
    """As every benchmark's own code breaks them: copies of a photo stand in the order of the table."""

    class Given(MemoryRanker):
        def describe(self, photos, stage):
            return Described(photos, vectors[np.array(photos)])

    class Describer:
        name, dim = "given", 4

    rng = np.random.default_rng(0)
    for n, q, k in ((3000, 40, 1), (3000, 40, 20), (3000, 40, 150), (50, 3, 50), (50, 3, 20), (1500, 19, 100)):
        vectors = rng.integers(-1, 2, (n + q, 4)).astype(np.float32)  # 81 different ones
        ranking = Given(Describer(), range(n)).rank(range(n, n + q), k)
        ids, scores = ranking.ids, ranking.scores
        squared = ((vectors[n:, None] - vectors[:n]) ** 2).sum(-1)
        want = np.argsort(squared, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(ids, want)
        np.testing.assert_array_equal(scores, -np.take_along_axis(squared, want, 1))


@pytest.mark.parametrize("dim", [1, 7, 48])
def test_a_sweep_ranks_by_the_first_numbers_and_describes_once(photos, grid, bad, dim):
    good, queries = photos(30), [*photos(5, seed=1), bad("q.jpg")]
    database = [bad("a.jpg"), *good]
    made = []

    def make():
        made.append(MemoryRanker(grid(), database, workers=0))
        return made[-1]

    sweep = Sweep(make)
    assert not made
    first = sweep.ranker(dim)
    ranking = first.rank(queries, 8)
    ids, scores = ranking.ids, ranking.scores
    again = sweep.ranker(dim).rank(queries, 8)
    np.testing.assert_array_equal(ids, again.ids)
    assert len(made) == 1
    assert first.dim == dim
    assert set(ranking.unreadable) == {database[0], queries[-1]}
    a, b = (grid().describe(p)[:, :dim].astype(np.float64) for p in (queries[:-1], good))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    squared = ((a[:, None] - b) ** 2).sum(-1)
    np.testing.assert_allclose(scores[:-1], -np.sort(squared, axis=1)[:, :8], atol=1e-5)
    np.testing.assert_allclose(squared[np.arange(5)[:, None], ids[:-1] - 1], -scores[:-1], atol=1e-5)
    assert (ids[-1] == -1).all()


def test_more_numbers_than_a_vector_has(photos, grid):
    sweep = Sweep(lambda: MemoryRanker(grid(), photos(2), workers=0))
    for dim in (0, 49):
        with pytest.raises(NetvladError, match=f"grid has 48 numbers: its first {dim} cannot be kept"):
            sweep.ranker(dim)
