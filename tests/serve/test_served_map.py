from __future__ import annotations

import shutil

import numpy as np
import pytest

import netvlad
from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.where import ALL
from netvlad.places import Places
from netvlad.serve.served_map import open_maps


@pytest.fixture
def copy(index, tmp_path):
    return shutil.copytree(index, tmp_path / "copy.vpr")


def test_a_map_that_grows_is_followed(copy, photos):
    served = open_maps([copy])["copy"]
    before = served.view
    assert served.follow() is False
    (photo,) = photos(1)
    netvlad.PlaceIndex.open(copy, served.model).add(Places.build(path=[photo], lat=[31.27], lon=[34.8]))
    assert (len(served.view), len(before)) == (8, 8)
    assert served.follow() is True
    assert (len(served.view), len(before)) == (9, 8)
    vector = served.model.describe([photo])
    (answer,) = served.view.locate(["q"], vector, 1, ALL)
    assert answer["lat"] == pytest.approx(31.27)
    assert served.view.path_of(answer["matches"][0]["id"]) == photo
    (old,) = before.locate(["q"], vector, 1, ALL)
    assert old["lat"] < 31.261
    assert before.path_of(answer["matches"][0]["id"]) is None


def test_a_map_that_went_is_served_as_it_was(copy):
    served = open_maps([copy])["copy"]
    vector = served.model.describe([served.view.snapshot.store.places().path[0]])
    shutil.rmtree(copy)
    assert served.follow() is False
    assert served.view.snapshot.flat_index.search(vector, 1)[1][0, 0] == 0


def test_paths_are_those_below_the_root(copy, town):
    view = open_maps([copy])["copy"].view
    paths = view.snapshot.store.places().path.tolist()
    answers = view.locate(["q"], view.snapshot.flat_index.vectors(np.arange(1)), 8, ALL)
    shown = [match["path"] for match in answers[0]["matches"]]
    assert sorted(shown) == [f"{i}.jpg" for i in range(8)]
    assert str(town) not in str(answers)
    for match in answers[0]["matches"]:
        assert view.path_of(match["id"]) == str(town / match["path"])
    assert all(path.startswith(str(town)) for path in paths)


@pytest.mark.parametrize("id_", ["", "x", "-1", "0" * 16, "f" * 16, "f" * 17, "1e3", "0x10"])
def test_no_photo_has_this_id(copy, id_):
    assert open_maps([copy])["copy"].view.path_of(id_) is None


def test_models_are_shared_and_names_are_not(copy, index, tmp_path):
    maps = open_maps([index, copy])
    assert list(maps) == ["town", "copy"]
    assert maps["town"].model is maps["copy"].model
    other = shutil.copytree(index, tmp_path / "b" / "town.vpr")
    with pytest.raises(NetvladError, match="second"):
        open_maps([index, other])
    with pytest.raises(PlaceIndexError):
        open_maps([tmp_path])


def test_a_map_without_photos(tmp_path, opened):
    netvlad.PlaceIndex.create(tmp_path / "empty.vpr", opened["town"].model)
    with pytest.raises(NetvladError, match="no photos"):
        open_maps([tmp_path / "empty.vpr"])
