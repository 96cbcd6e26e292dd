from __future__ import annotations

import shutil

import numpy as np
import pytest

from netvlad.describe import stream
from netvlad.maps.index import PlaceIndex
from netvlad.maps.ranker import IndexRanker
from netvlad.places import Places


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


def test_index_ranker_is_brute_force_over_the_index(street, grid, tmp_path, photos):
    database, queries = street(12), photos(3, seed=1)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    ranker = IndexRanker(index, database)
    ranking = ranker.rank(queries, 5)
    ids, scores = ranking.ids, ranking.scores
    want, values = brute_force(grid(), database.path, queries, 5)
    np.testing.assert_array_equal(ids, want)
    np.testing.assert_allclose(scores, values, atol=2e-3)  # of float16
    assert ranker.dim == 48
    assert list(ranking.seconds) == ["index database", "describe and search queries"]
    # an index that was there already says nothing of how long describing takes
    again = IndexRanker(PlaceIndex.open(tmp_path / "a.vpr", grid()), database)
    ranking = again.rank(queries, 5)
    np.testing.assert_array_equal(ranking.ids, want)
    assert list(ranking.seconds) == ["describe and search queries"]


def test_index_ranker_speaks_of_rows_of_the_database(street, grid, tmp_path, bad):
    """The index holds other photos too, in another order, and the database names some twice, or a copy of them."""
    photos = street(6)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(photos[[5, 2, 0]])
    copy = shutil.copy(photos.path[3], tmp_path / "copy.jpg")
    broken = bad("broken.jpg")
    database = Places.concat(
        [
            Places.build(path=[broken], lat=31.0, lon=34.0),
            photos[[3, 0, 4]],
            Places.build(path=[copy, photos.path[3]], lat=31.0, lon=34.0),
        ]
    )
    ranker = IndexRanker(index, database)
    assert index.places.path.tolist() == photos.path[[5, 2, 0, 3, 4]].tolist()
    ranking = ranker.rank(photos.path, 5)
    ids, scores = ranking.ids, ranking.scores
    # of a path named twice it is the row whose place is in the index
    row_of = {photos.path[3]: 1, photos.path[0]: 2, photos.path[4]: 3}
    want, _ = brute_force(grid(), index.places.path, photos.path, 5)
    assert ids.tolist() == [[row_of.get(index.places.path[i], -1) for i in row] for row in want]
    assert np.isfinite(scores).all()
    assert ids[3, 0] == 1
    assert database.lat[1] == index.places.lat[3]
    assert ranking.unreadable == {broken: REASON}


def test_index_ranker_tells_of_unreadable_queries(street, photos, grid, tmp_path, bad):
    ranker = IndexRanker(PlaceIndex.create(tmp_path / "a.vpr", grid()), street(2))
    broken = bad("q.jpg")
    ranking = ranker.rank([broken, *photos(1, seed=1)], 2)
    assert ranking.ids[0].tolist() == [-1, -1]
    assert sorted(ranking.ids[1]) == [0, 1]
    assert ranking.unreadable == {broken: REASON}


def test_photos_are_decoded_by_as_many_workers_as_given(street, photos, grid, tmp_path, monkeypatch):
    told, whole = [], stream.decode_photos

    def noted(*args, workers, **more):
        told.append(workers)
        return whole(*args, workers=workers, **more)

    monkeypatch.setattr(stream, "decode_photos", noted)
    IndexRanker(PlaceIndex.create(tmp_path / "a.vpr", grid()), street(2), workers=0).rank(photos(1, seed=1), 1)
    assert told == [0] * 2
