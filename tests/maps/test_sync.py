"""A map follows its photos: what happened to them happens to its rows, and nothing else does."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.images import decode
from netvlad.maps import sync as sync_module
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places
from netvlad.places.table import COLUMNS, Skipped


@pytest.fixture
def made(street, grid, tmp_path):
    """An index of 12 photos, and their places."""
    places = street(12)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(places, workers=0)
    return index, places


@pytest.fixture
def described(monkeypatch):
    """Paths of photos that are decoded from now on."""
    read, whole = [], decode._decode_one

    def noted(resize, alpha, photo):
        read.append(photo[1])
        return whole(resize, alpha, photo)

    monkeypatch.setattr(decode, "_decode_one", noted)
    return read


def having(places: Places, **columns) -> Places:
    """The places with other columns."""
    given = {name: getattr(places, name) for name in COLUMNS}
    for name in ("easting", "northing", "utm") if "lat" in columns else ():
        given.pop(name)
    return Places.build(**{**given, **columns})


def agrees(index: PlaceIndex, places: Places) -> None:
    """The index, as it is and opened anew, holds these places and answers each photo by itself; nothing is told."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlaceIndexWarning)
        for held in (index, PlaceIndex.open(index.folder, index.model)):
            order = np.argsort(held.places.path)
            want = np.argsort(places.path)
            assert held.places.path[order].tolist() == places.path[want].tolist()
            for name in ("lat", "lon", "heading", "time", "place"):
                np.testing.assert_array_equal(getattr(held.places, name)[order], getattr(places, name)[want], name)
            for path in places.path:
                assert held.locate(path).matches[0].path == path
        assert [finding.part for finding in check_index(index.folder, deep=True) if not finding.sound] == []


def test_a_sync_with_nothing_new_reads_and_writes_nothing(made, described):
    index, places = made
    version = index.store.version
    stamps = {f: f.stat().st_mtime_ns for f in index.folder.iterdir() if f.name != ".lock"}
    found = index.sync(places)
    assert not found
    assert (found.known, described, index.store.version) == (12, [], version)
    assert {f: f.stat().st_mtime_ns for f in stamps} == stamps


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("lat", 31.3, "repositioned"),
        ("heading", 77.0, "reheaded"),
        ("time", "2020-01-01T00:00:00", "retimed"),
        ("time", None, "retimed"),
        ("place", "gate", "relabelled"),
        ("split", "database", "relabelled"),
    ],
)
def test_what_is_known_of_a_photo_is_corrected_without_describing_it(made, described, column, value, told):
    index, places = made
    values = getattr(places, column).astype(object)
    values[4] = value
    mended = having(places, **{column: values})
    found = index.sync(mended)
    assert getattr(found, told) == [places.path[4]]
    assert [name for name in ("new", "moved", "vanished", "replaced") if getattr(found, name)] == []
    assert (described, found.known) == ([], 12)
    agrees(index, mended)
    assert not index.sync(mended)


def test_rounding_is_no_correction(made):
    index, places = made
    assert not index.sync(having(places, lat=places.lat + 1e-10, lon=places.lon))


def test_vanished_photos_leave_the_map_or_stay(made):
    index, places = made
    os.remove(places.path[3])
    left = places[[0, 1, 2, 4, 5, 6, 7, 8, 9, 10]]  # 3 has no file, 11 is not listed
    for source in (places[:11], left):
        found = index.sync(source, keep_missing=True)
        assert sorted(found.vanished) == sorted([places.path[3], places.path[11]])
        assert len(index) == 12
    assert index.sync(places[:11]).vanished == [places.path[3], places.path[11]]
    agrees(index, left)


def test_a_moved_photo_keeps_its_vector_and_gets_its_path(made, described, tmp_path):
    index, places = made
    (tmp_path / "elsewhere").mkdir()
    paths = [str(tmp_path / "elsewhere" / f"new name {i}.jpg") for i in range(12)]
    for old, new in zip(places.path, paths, strict=True):
        shutil.move(old, new)
    found = index.sync(having(places, path=paths))
    assert found.moved == list(zip(places.path, paths, strict=True))
    assert described == []
    agrees(index, having(places, path=paths))


def test_photos_that_swapped_their_names(made, described):
    index, places = made
    a, b = places.path[:2]
    os.rename(a, "a.tmp")
    os.rename(b, a)
    os.rename("a.tmp", b)
    before = index.places
    vectors = np.concatenate(list(index.store.vectors()))
    found = index.sync(places)
    assert sorted(found.moved) == [(a, b), (b, a)]
    assert described == []
    now = np.concatenate(list(index.store.vectors()))
    row = {path: i for i, path in enumerate(index.places.path)}
    old = {path: i for i, path in enumerate(before.path)}
    np.testing.assert_array_equal(now[row[a]], vectors[old[b]])
    agrees(index, places)


def test_a_photo_that_took_the_name_of_another_that_moved(made, described, tmp_path):
    index, places = made
    a, elsewhere = places.path[0], str(tmp_path / "moved.jpg")
    shutil.move(a, elsewhere)
    Image.new("RGB", (32, 24), "red").save(a)
    now = Places.concat([places, having(places[[0]], path=[elsewhere])])
    found = index.sync(now)
    assert (found.moved, found.new, found.replaced) == ([(a, elsewhere)], [a], [])
    assert described == [a]
    agrees(index, now)


def test_a_photo_that_changed_is_described_again(made, described):
    index, places = made
    Image.new("RGB", (32, 24), "red").save(places.path[1])
    found = index.sync(places)
    assert (found.replaced, found.new, described) == ([places.path[1]], [], [places.path[1]])
    agrees(index, places)


def test_a_touched_photo_is_read_once(made, described, monkeypatch):
    index, places = made
    os.utime(places.path[5], ns=(0, 7))
    looked = []
    monkeypatch.setattr(
        "netvlad.maps.survey.photo_digest", lambda path: looked.append(path) or decode.photo_digest(path)
    )
    for _ in range(2):
        found = index.sync(places)
        assert not found
    assert (looked, described) == ([places.path[5]], [])
    agrees(index, places)


def test_the_same_content_twice_is_told_and_in_once(made, tmp_path):
    index, places = made
    old, new = str(tmp_path / "copy of 2.jpg"), [str(tmp_path / f"new{i}.jpg") for i in range(2)]
    shutil.copy(places.path[2], old)
    for path in new:
        Image.new("RGB", (32, 24), "blue").save(path)
    more = Places.concat([places, Places.build(path=[old, *new], lat=31.0, lon=34.0)])
    for _ in range(2):
        found = index.sync(more)
        assert found.duplicates == {old: places.path[2], new[1]: new[0]}
    agrees(index, more[[*range(12), 13]])


def test_a_copy_that_outlives_its_original_takes_its_row(made, described, tmp_path):
    index, places = made
    copy = str(tmp_path / "copy.jpg")
    shutil.copy(places.path[2], copy)
    more = Places.concat([places, Places.build(path=[copy], lat=31.5, lon=34.5)])
    index.sync(more)
    os.remove(places.path[2])
    found = index.sync(more)
    assert (found.moved, found.repositioned) == ([(places.path[2], copy)], [copy])
    assert (found.unreadable, described) == ({places.path[2]: "no such file"}, [places.path[2]])
    agrees(index, more[[0, 1, *range(3, 13)]])


def test_a_photo_that_became_a_copy_leaves_the_map(made):
    index, places = made
    shutil.copy(places.path[2], places.path[3])
    found = index.sync(places)
    assert found.duplicates == {places.path[3]: places.path[2]}
    agrees(index, places[[0, 1, 2, *range(4, 12)]])


def test_a_photo_that_cannot_be_read_any_more_keeps_its_row(made):
    index, places = made
    Path(places.path[3]).write_text("no photo")
    found = index.sync(places)
    assert list(found.unreadable) == [places.path[3]]
    assert (found.vanished, len(index)) == ([], 12)


def test_what_a_folder_without_permission_holds_stays(made):
    index, places = made
    folder = os.path.dirname(places.path[0])
    unseen = Places(**{name: getattr(places[:0], name) for name in COLUMNS}, skipped=(Skipped(folder, 0, "closed"),))
    assert not index.sync(unseen)
    assert len(index) == 12


def test_a_map_is_not_emptied(made):
    index, places = made
    for path in places.path:
        os.remove(path)
    with pytest.raises(PlaceIndexError, match=r"none of its photos \(12\) is there any more"):
        index.sync(places)
    assert len(index.sync(places, keep_missing=True).vanished) == len(index) == 12


def test_two_sources_do_not_remove_each_other(made, street, tmp_path):
    index, places = made
    first, second = places[:6], places[6:]
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    index.remove(places.path.tolist())
    index.sync(first, source=a)
    assert not index.sync(first, source=a)
    assert index.sync(second, source=b).new == second.path.tolist()
    assert len(index) == 12
    assert index.sync(first[:5], source=a).vanished == [first.path[5]]
    agrees(index, Places.concat([first[:5], second]))
    assert index.sync(second).vanished == first.path[:5].tolist()  # of no source: the whole map


def test_rows_of_unknown_source_belong_to_the_folder_above_them(made, tmp_path):
    index, places = made  # added without a source
    assert index.sync(places[:11], source=tmp_path / "other").vanished == []
    assert index.sync(places[:11], source=os.path.dirname(places.path[0])).vanished == [places.path[11]]


def test_a_dry_run_tells_the_same_and_changes_nothing(made, described, tmp_path):
    index, places = made
    shutil.move(places.path[0], tmp_path / "moved.jpg")
    os.remove(places.path[1])
    Image.new("RGB", (32, 24), "red").save(places.path[2])
    Image.new("RGB", (32, 24), "blue").save(tmp_path / "new.jpg")
    now = having(places, path=[str(tmp_path / "moved.jpg"), *places.path[1:]], heading=np.full(12, 5.0))
    now = Places.concat([now, Places.build(path=[tmp_path / "new.jpg"], lat=31.0, lon=34.0)])
    version = index.store.version
    told = index.sync(now, dry_run=True)
    assert (described, index.store.version, len(index)) == ([], version, 12)
    assert index.sync(now) == told
    assert not index.sync(now)


def test_a_dry_run_of_an_index_that_is_not_there(weights, photos, tmp_path):
    import netvlad

    index = PlaceIndex.create(tmp_path / "a.vpr", netvlad.load("test_resnet-vlad", clusters=4))
    paths = photos(3)
    assert index.sync(Places.build(path=paths, lat=1.0, lon=2.0), dry_run=True).new == paths
    assert not index.folder.exists()


def test_many_corrections_are_written_in_parts(made, monkeypatch):
    index, places = made
    monkeypatch.setattr(sync_module, "REWRITTEN", 5 * 2 * index.dim)
    turned = having(places, heading=np.arange(12.0))
    version = index.store.version
    assert len(index.sync(turned).reheaded) == 12
    assert index.store.version == version + 3
    agrees(index, turned)


def test_update_needs_no_photos(made):
    index, places = made
    mended = having(places, lat=places.lat + 0.01, lon=places.lon)
    shutil.move(os.path.dirname(places.path[0]), os.path.dirname(places.path[0]) + " away")
    found = index.update(Places.concat([mended, Places.build(path=["/unknown.jpg"], lat=1.0, lon=2.0)]))
    assert (found.repositioned, found.new) == (places.path.tolist(), ["/unknown.jpg"])
    np.testing.assert_array_equal(np.sort(index.places.lat), np.sort(mended.lat))
    shutil.move(os.path.dirname(places.path[0]) + " away", os.path.dirname(places.path[0]))
    assert not index.sync(mended)
    agrees(index, mended)


def test_update_leaves_all_else(made):
    index, places = made
    assert not index.update(places[:3])
    assert len(index) == 12


def test_remove_by_path(made):
    index, places = made
    assert index.remove([places.path[0], places.path[7], "/unknown.jpg"]) == 2
    agrees(index, places[[*range(1, 7), *range(8, 12)]])
    assert index.remove([]) == 0
    assert index.remove(index.places.path.tolist()) == 10
    assert len(index) == 0


def test_planar_and_geodetic_do_not_mix(made):
    index, places = made
    flat = Places.build(path=places.path, easting=np.arange(12.0), northing=0.0)
    with pytest.raises(PlaceIndexError, match="there is no distance between the two"):
        index.sync(flat)
    agrees(index, places)


def test_photos_of_a_label_alone(grid, tmp_path, street):
    places = street(6)
    labelled = Places.build(path=places.path, place=["gate", "gate", "yard", "yard", "hall", "roof"])
    index = PlaceIndex.create(tmp_path / "l.vpr", grid())
    assert index.sync(labelled).new == places.path.tolist()
    answer = index.locate(places.path[2])
    assert (answer.place, answer.matches[0].place, answer.confidence) == ("yard", "yard", None)
    assert "place yard" in answer.to_text()
    assert answer.to_dict()["place"] == "yard"
    # and both kinds in one map
    index.sync(having(places, place=["gate"] * 6))
    assert index.locate(places.path[2]).lat == places.lat[2]
