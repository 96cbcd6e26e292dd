"""Maps and photos that move, together or apart."""

from __future__ import annotations

import ntpath
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from netvlad.maps import roots
from netvlad.maps.index import PlaceIndex
from netvlad.maps.opening import moved_root
from netvlad.maps.roots import Root, common_folder, find_root
from netvlad.places import Places

posix = pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")


@posix
@pytest.mark.parametrize(
    ("root", "path", "stored"),
    [
        ("/a/b", "/a/b/c.jpg", "c.jpg"),
        ("/a/b", "/a/b/d/é.jpg", "d/é.jpg"),
        ("/a/b", "/a/bc.jpg", "/a/bc.jpg"),
        ("/a/b", "/x.jpg", "/x.jpg"),
        ("/a/b", "/a/b/c\\d:.jpg", "c\\d:.jpg"),
        ("/", "/x.jpg", "x.jpg"),
        ("", "/x.jpg", "/x.jpg"),
        ("/東京", "/東京/x.jpg", "x.jpg"),
    ],
)
def test_paths_come_back(root, path, stored):
    assert Root(root).stored(pa.array([path])).to_pylist() == [stored]
    assert Root(root).opened(pa.array([stored])).to_pylist() == [path]
    assert Root(root).stored_one(path) == stored
    assert Root(root).opened_one(stored) == path


@pytest.mark.parametrize(
    ("root", "path", "stored", "opened"),
    [
        ("C:\\a b", "C:\\a b\\ü\\1.jpg", "ü/1.jpg", "C:\\a b\\ü\\1.jpg"),
        ("C:\\a b", "c:\\A B\\1.jpg", "1.jpg", "C:\\a b\\1.jpg"),
        ("C:\\a", "D:\\a\\1.jpg", "D:\\a\\1.jpg", "D:\\a\\1.jpg"),
        ("C:\\a", "\\\\server\\a\\1.jpg", "\\\\server\\a\\1.jpg", "\\\\server\\a\\1.jpg"),
        ("\\\\server\\a", "\\\\server\\a\\b\\1.jpg", "b/1.jpg", "\\\\server\\a\\b\\1.jpg"),
        ("D:\\", "D:\\1.jpg", "1.jpg", "D:\\1.jpg"),
    ],
)
def test_paths_of_windows_come_back(root, path, stored, opened, monkeypatch):
    monkeypatch.setattr(roots, "os", SimpleNamespace(name="nt", sep="\\", path=ntpath))
    assert Root(root).stored_one(path) == stored
    assert Root(root).opened_one(stored) == opened


def test_another_drive_has_no_common_folder(monkeypatch):
    monkeypatch.setattr(roots, "os", SimpleNamespace(name="nt", sep="\\", path=ntpath))
    assert common_folder(np.array(["C:\\a\\1.jpg", "D:\\a\\2.jpg"], object)) == ""
    assert common_folder(np.array(["C:\\a\\1.jpg", "C:\\a\\b\\2.jpg"], object)) == "C:\\a"


@posix
@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["/a/b/c.jpg"], "/a/b"),
        (["/a/b/c.jpg", "/a/b/d/e.jpg"], "/a/b"),
        (["/a/b/c.jpg", "/a/bc/d.jpg", "/a/ba.jpg"], "/a"),
        (["/a/b.jpg", "/c/d.jpg"], ""),
        ([], ""),
    ],
)
def test_the_folder_of_photos(paths, folder):
    assert common_folder(np.array(paths, object)) == folder


def test_where_a_root_is_now(tmp_path):
    recorded, beside, folder = tmp_path / "old" / "photos", tmp_path / "new" / "photos", tmp_path / "new" / "a.vpr"
    for photos in (recorded, beside):
        photos.mkdir(parents=True)
    (recorded / "1.jpg").touch()

    def found() -> str:
        return find_root(str(recorded), os.path.join("..", "photos"), folder, "1.jpg")

    assert found() == str(recorded)  # a folder of that name, without the photo
    (beside / "1.jpg").touch()
    assert found() == str(beside)
    for photos in (recorded, beside):
        (photos / "1.jpg").unlink()
    assert found() == str(beside)
    beside.rmdir()
    assert found() == str(recorded)
    recorded.rmdir()
    assert found() == str(recorded)


@pytest.fixture
def packed(street, grid, tmp_path):
    """A folder with photos and a map of them, and their places."""
    places = street(6)
    folder = tmp_path / "packed"
    folder.mkdir()
    shutil.move(Path(places.path[0]).parent, folder / "photos")
    places = Places.build(
        path=[folder / "photos" / Path(path).name for path in places.path], lat=places.lat, lon=places.lon
    )
    index = PlaceIndex.create(folder / "a.vpr", grid())
    index.sync(places, workers=0)
    return folder, places


def shown(index: PlaceIndex, name: str) -> str:
    """The path of the match of a photo, which must be there."""
    match = next(iter(index.locate(name, top=1)))
    assert Path(match.path).is_file()
    return match.path


def test_map_and_photos_move_together(packed, grid, tmp_path):
    folder, places = packed
    name = Path(places.path[4]).name
    moved = tmp_path / "elsewhere" / "deep"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    index = PlaceIndex.open(moved / "a.vpr", grid())
    assert shown(index, str(moved / "photos" / name)) == str(moved / "photos" / name)
    now = Places.build(
        path=[moved / "photos" / Path(path).name for path in places.path], lat=places.lat, lon=places.lon
    )
    version = index.store.version
    assert not index.sync(now)
    assert index.store.version == version


def test_a_copy_is_a_map_of_the_copied_photos(packed, grid, tmp_path):
    folder, places = packed
    shutil.copytree(folder, tmp_path / "copy")
    index = PlaceIndex.open(tmp_path / "copy" / "a.vpr", grid())
    assert shown(index, places.path[2]) == str(tmp_path / "copy" / "photos" / Path(places.path[2]).name)


def test_the_map_moves_alone(packed, grid, tmp_path):
    folder, places = packed
    shutil.move(folder / "a.vpr", tmp_path / "b.vpr")
    index = PlaceIndex.open(tmp_path / "b.vpr", grid())
    assert shown(index, places.path[2]) == places.path[2]
    assert index.places.path.tolist() == places.path.tolist()


def test_the_photos_move_alone(packed, grid, tmp_path):
    folder, places = packed
    name = Path(places.path[4]).name
    shutil.move(folder / "photos", tmp_path / "pictures")
    photo = str(tmp_path / "pictures" / name)
    assert shown(PlaceIndex.open(folder / "a.vpr", grid(), root=tmp_path / "pictures"), photo) == photo
    assert not Path(PlaceIndex.open(folder / "a.vpr", grid()).places.path[0]).exists()  # it was not recorded
    assert moved_root(folder / "a.vpr", tmp_path / "pictures") == str(tmp_path / "pictures")
    assert moved_root(folder / "a.vpr", tmp_path) is None
    now = Places.build(path=[tmp_path / "pictures" / Path(p).name for p in places.path], lat=places.lat, lon=places.lon)
    index = PlaceIndex.open(folder / "a.vpr", grid(), root=tmp_path / "pictures")
    version = index.store.version
    assert not index.sync(now)
    assert index.store.version == version
    assert shown(PlaceIndex.open(folder / "a.vpr", grid()), photo) == photo


def test_photos_outside_of_the_root_keep_their_paths(packed, grid, tmp_path, photos):
    folder, places = packed
    (outside,) = photos(1, seed=9, folder="outside")
    index = PlaceIndex.open(folder / "a.vpr", grid())
    index.add(Places.build(path=[outside], lat=31.0, lon=34.0))
    assert index.places.path.tolist() == [*places.path, outside]
    stored = index.store.held(["path"]).column("path").to_pylist()
    assert stored == [*(Path(path).name for path in places.path), outside]


def test_an_old_map_opens_and_gets_a_root(packed, grid):
    folder, places = packed
    index = PlaceIndex.create(folder / "old.vpr", grid(), root="/nowhere")
    index.sync(places, workers=0)
    assert index.store.held(["path"]).column("path").to_pylist() == places.path.tolist()
    rooted = PlaceIndex.open(folder / "old.vpr", grid(), root=folder / "photos")
    assert not rooted.sync(places)  # nothing that anybody would call a change
    assert rooted.store.held(["path"]).column("absolute").to_pylist() == [False] * 6
    assert rooted.places.path.tolist() == places.path.tolist()
