from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvlad.benchmarks import Split, benchmark
from netvlad.errors import PlacesError
from netvlad.places import Places


@pytest.fixture
def known(tmp_path, touch):
    """A benchmark of 9 + 2 photos in tmp_path that are all there."""

    def reader(root):
        database = Places.build(path=[root / f"d/{i}.jpg" for i in range(9)], lat=31.0, lon=34.0)
        return Split(database, Places.build(path=[root / "q0.jpg", root / "q1.jpg"], lat=31.0, lon=34.0))

    touch(tmp_path, *(f"d/{i}.jpg" for i in range(9)), "q0.jpg", "q1.jpg")
    return replace(benchmark("tokyo247"), name="nine", reader=reader, database=9, queries=2)


def test_all_there(known, tmp_path):
    assert known.check(tmp_path) == []
    assert known.check(str(tmp_path)) == []
    assert len(known.read(tmp_path).database) == 9


def test_a_relative_root(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert known.check(tmp_path.name) == []
    assert known.read(tmp_path.name).queries.path[0] == str(tmp_path / "q0.jpg")


def test_absent_photos_are_counted_and_the_first_five_named(known, tmp_path):
    for i in range(1, 8):
        (tmp_path / f"d/{i}.jpg").unlink()
    line = f"7 of 9 database photos are absent in {tmp_path}: d/1.jpg, d/2.jpg, d/3.jpg, d/4.jpg, d/5.jpg and 2 more"
    assert known.check(tmp_path) == [line]
    with pytest.raises(PlacesError) as error:
        known.read(tmp_path)
    assert str(error.value) == f"nine: {line}"


def test_counts_are_told_but_do_not_keep_from_reading(known, tmp_path):
    other = replace(known, database=10, queries=None, images=12)
    assert other.check(tmp_path) == ["9 database photos are listed where the published set has 10"]
    assert len(other.read(tmp_path).queries) == 2


def test_approximate_counts_refuse_only_what_is_far_off(known, tmp_path):
    assert known.counted
    some = replace(known, database=None, images=20)
    assert not some.counted
    assert some.check(tmp_path) == []
    for images in (23, 5):
        assert replace(some, images=images).check(tmp_path) == [
            f"11 photos are listed where the published set has about {images}"
        ]


def test_no_folder(known, tmp_path):
    with pytest.raises(PlacesError, match=r"q0\.jpg: is no folder; the layout of nine is:\nROOT/"):
        known.read(tmp_path / "q0.jpg")


def test_split_of_lengths_that_differ():
    places = Places.build(path=["a", "b"], lat=31.0, lon=34.0)
    with pytest.raises(PlacesError, match="positives of 1 queries, but there are 2"):
        Split(places, places, positives=[np.array([0])])


def test_the_protocol_bears_the_name():
    known = benchmark("tokyo247")
    assert known.protocol.benchmark == "tokyo247"
    assert replace(known, name="other").protocol == replace(known.protocol, benchmark="other")


def test_queries_in_groups():
    def split(*conditions: str) -> Split:
        database = Places.build(path=["a"], lat=31.0, lon=34.0)
        return Split(database, database[[0] * len(conditions)], condition=np.array(conditions, object))

    found = benchmark("tokyo247").groups(split("day", "sunset", "night", "day"))
    assert {name: of_it.astype(int).tolist() for name, of_it in found.items()} == {
        "day": [1, 0, 0, 1],
        "sunset": [0, 1, 0, 0],
        "night": [0, 0, 1, 0],
        "sunset/night": [0, 1, 1, 0],
    }
    assert benchmark("campus-day-night").groups(split("night", "night")) == {}  # all queries are no group of their own
    assert benchmark("tokyo247").groups(replace(split("day"), condition=None)) == {}
