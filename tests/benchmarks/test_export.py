from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.benchmarks import Split
from netvlad.benchmarks.export import write
from netvlad.errors import PlacesError
from netvlad.places import Places, read_places


@pytest.fixture
def split(tmp_path):
    database = Places.build(path=[tmp_path / "d0.jpg", tmp_path / "d1.jpg"], lat=31.0, lon=34.0, panorama="p")
    return Split(database, Places.build(path=[tmp_path / "q.jpg"], lat=31.0, lon=34.0, heading=90))


@pytest.mark.parametrize("name", ["all.parquet", "deep/all.csv", "all.geojson"])
def test_one_table(split, tmp_path, name):
    assert write(split, tmp_path / name) == [tmp_path / name]
    read = read_places(tmp_path / name, strict=True)
    assert read.split.tolist() == ["database", "database", "query"]
    assert read.path.tolist() == [*split.database.path, *split.queries.path]
    assert split.database.split.tolist() == ["", ""]


def test_a_folder(split, tmp_path, assert_same_places):
    out = tmp_path / "out"
    assert write(split, out) == [out / "database.parquet", out / "queries.parquet"]
    assert_same_places(read_places(out / "database.parquet"), split.database)
    assert_same_places(read_places(out / "queries.parquet"), split.queries)


def test_what_tables_cannot_hold(tmp_path):
    labelled = Places.build(path=["/a.jpg", "/b.jpg"], place=["a", "b"])
    known = Split(
        labelled,
        labelled,
        positives=[np.array([1]), np.array([], np.int64)],
        junk=[np.array([0]), np.array([1])],
        roi=np.array([[0.5, 1, 2, 3]] * 2),
        condition=np.array(["day", "night"], object),
        names=np.array(["x", "y"], object),
    )
    assert write(known, tmp_path / "t.csv") == [tmp_path / "t.csv", tmp_path / "t.truth.json"]
    wanted = {
        "positives": [[1], []],
        "junk": [[0], [1]],
        "roi": [[0.5, 1, 2, 3], [0.5, 1, 2, 3]],
        "condition": ["day", "night"],
        "names": ["x", "y"],
    }
    assert json.loads((tmp_path / "t.truth.json").read_text()) == wanted
    assert write(known, tmp_path / "f")[-1] == tmp_path / "f" / "truth.json"
    assert read_places(tmp_path / "t.csv").place.tolist() == ["a", "b"] * 2


def test_a_set_to_train_on_has_no_split(split, tmp_path):
    alone = Split(split.database, Places.build(path=[]))
    write(alone, tmp_path / "t.parquet")
    assert read_places(tmp_path / "t.parquet").split.tolist() == ["", ""]
    assert write(alone, tmp_path / "f") == [tmp_path / "f" / "database.parquet"]


def test_another_suffix(split, tmp_path):
    with pytest.raises(PlacesError, match=r"written as \.csv, \.parquet, \.geojson"):
        write(split, tmp_path / "t.xlsx")
