"""Disks that are not mounted, and file systems that know no case: a sync takes out no row for them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.maps import stamps, sync
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places


@pytest.fixture
def made(street, grid, tmp_path):
    """An index of 12 photos, the first 4 from one source and the others from a second, and their places."""
    places = street(12)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.sync(places[:4], source=tmp_path / "a.csv", workers=0)
    index.sync(places[4:], source=tmp_path / "b.csv", workers=0)
    return index, places


def test_a_source_all_of_whose_photos_are_gone_stays(made, tmp_path):
    index, places = made
    for path in places.path[:4]:
        os.remove(path)
    for left in (places[:4], places[:0]):
        with pytest.raises(PlaceIndexError, match=r"none of its photos from .*a\.csv \(4\) is there any more: is a"):
            index.sync(left, source=tmp_path / "a.csv", workers=0)
    assert len(index) == 12
    assert not index.sync(places[4:], source=tmp_path / "b.csv", workers=0)
    assert len(index.sync(places[:0], source=tmp_path / "a.csv", keep_missing=True).vanished) == 4


def test_a_source_whose_photos_are_all_others_now_is_followed(made, street, tmp_path):
    index, _ = made
    others = street(3, seed=5)
    found = index.sync(others, source=tmp_path / "a.csv", workers=0)
    assert (len(found.new), len(found.vanished), len(index)) == (3, 4, 11)


def test_where_most_go_it_is_told_how_to_bring_them_back(made, tmp_path, monkeypatch):
    index, places = made
    monkeypatch.setattr(sync, "MANY", 5)
    number = index.store.version
    with pytest.warns(PlaceIndexWarning, match=rf"5 of its 8 photos from .*b\.csv are gone.*restore \S+ {number}`"):
        index.sync(places[:7], source=tmp_path / "b.csv", workers=0)
    assert index.restore(number) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlaceIndexWarning)
        index.sync(places[:8], source=tmp_path / "b.csv", workers=0)  # half
    assert len(index) == 8


def test_a_photo_renamed_by_case_where_case_does_not_count(made, tmp_path, monkeypatch):
    index, places = made
    old, stat = Path(places.path[0]), os.stat
    new = old.with_name(old.name.upper())
    old.rename(new)

    def any_case(path: str) -> os.stat_result:
        return stat(new) if path.lower() == str(new).lower() else stat(path)

    monkeypatch.setattr(stamps, "os", SimpleNamespace(stat=any_case))
    renamed = Places.build(path=[new, *places.path[1:]], lat=places.lat, lon=places.lon, time=places.time)
    found = index.sync(renamed, workers=0)
    assert (found.moved, found.new, found.vanished) == ([(str(old), str(new))], [], [])
    assert sorted(index.places.path) == sorted(renamed.path)
