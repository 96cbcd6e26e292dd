from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.export.names import photo_names
from netvlad.export.pairs import find_pairs, write_pairs
from netvlad.maps.index import PlaceIndex
from netvlad.maps.own_matches import own_matches


@pytest.fixture
def opened(index) -> PlaceIndex:
    return PlaceIndex.open(index)


def similar(opened) -> np.ndarray:
    """Cosine of all pairs of photos, -inf of a photo with itself."""
    vectors = np.concatenate(list(opened.store.vectors()))
    found = vectors @ vectors.T
    np.fill_diagonal(found, -np.inf)
    return found


def test_own_matches_are_the_most_similar_others(opened):
    np.testing.assert_array_equal(own_matches(opened, 3), np.argsort(-similar(opened), axis=1)[:, :3])
    assert own_matches(opened, 100).shape == (8, 7)


def test_copies_of_a_photo_are_not_the_photo_itself():
    """Of photos with one vector each has the others, however the search orders them."""

    rows = np.zeros((5, 4), np.float32)
    rows[:, 0] = 1

    class Snapshot:
        class store:
            @staticmethod
            def vectors():
                yield rows

        @staticmethod
        def search(vectors, k):
            return np.zeros((len(vectors), k)), np.tile(np.arange(k), (len(vectors), 1))

    class Index:
        _snapshot = Snapshot()

        def __len__(self):
            return 5

    best = own_matches(Index(), 2)
    assert best.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_pairs_are_unordered_and_stand_once(opened):
    best = np.argsort(-similar(opened), axis=1)[:, :2]
    want = sorted({tuple(sorted((i, int(j)))) for i in range(8) for j in best[i]})
    assert find_pairs(opened, top=2).tolist() == [list(pair) for pair in want]
    assert len(find_pairs(opened, top=7)) == 8 * 7 // 2


def test_pairs_within_a_distance(opened):
    """Photos stand 11.1 m apart on a line: within 23 m each has the two next ones."""
    near = find_pairs(opened, top=0, within=23)
    assert near.tolist() == [[i, j] for i in range(8) for j in (i + 1, i + 2) if j < 8]
    both = find_pairs(opened, top=2, within=23)
    assert {*map(tuple, near.tolist())} < {*map(tuple, both.tolist())}


@pytest.mark.parametrize("numbers", [{"top": -1}, {"within": -1.0}, {"within": float("nan")}])
def test_numbers_that_make_no_sense(opened, numbers):
    with pytest.raises(NetvladError, match="0 or more"):
        find_pairs(opened, **numbers)


def test_a_name_with_a_space_is_refused(tmp_path):
    with pytest.raises(NetvladError, match="rename it"):
        write_pairs(np.array([[0, 1]]), ["a b.jpg", "c.jpg"], tmp_path / "pairs.txt")
    assert not list(tmp_path.iterdir())


def test_names_are_relative_to_the_root(opened):
    assert photo_names(opened) == [f"{i}.jpg" for i in range(8)]


def test_colmap_reads_the_pairs(opened, tmp_path):
    pycolmap = pytest.importorskip("pycolmap", reason="needs pycolmap, which reads the file")
    from netvlad.export.colmap import write_colmap_pairs

    (file,) = write_colmap_pairs(opened, tmp_path / "pairs.txt", top=2)
    database = pycolmap.Database.open(str(tmp_path / "database.db"))
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 60.0, 64, 48)
    number = database.write_camera(camera)
    ids = {database.write_image(pycolmap.Image(name=f"{i}.jpg", camera_id=number)): i for i in range(8)}
    options = pycolmap.ImportedPairingOptions()
    options.match_list_path = str(file)
    found = pycolmap.ImportedPairGenerator(options, database).all_pairs()
    assert sorted(sorted((ids[a], ids[b])) for a, b in found) == find_pairs(opened, top=2).tolist()
