from __future__ import annotations

from datetime import timedelta

import lance
import numpy as np
import pytest

from netvlad.errors import DiskFullError, PlaceIndexError, PlaceIndexWarning
from netvlad.maps import versions
from netvlad.maps.index import PlaceIndex
from netvlad.maps.stamps import FileStamp
from netvlad.maps.store import Store
from netvlad.maps.versions import KEPT, list_versions, readable_version, restore
from netvlad.places import Places


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "t.lance", 2)


def put(store: Store, name: str, without: np.ndarray | None = None) -> None:
    places = Places.build(path=[f"/{name}.jpg"], lat=1.0, lon=2.0)
    store.append(places, [FileStamp(1, 1)], [name.encode().ljust(16)], np.ones((1, 2)), without=without)


def names(store: Store) -> str:
    return "".join(path[1:-4] for path in store.places().path)


def ids(store: Store, *rows: int) -> np.ndarray:
    return store.held(["path"]).column("_rowid").to_numpy()[list(rows)]


def test_rows_go_and_come_in_one_version(store):
    for name in "abcd":
        put(store, name)
    version = store.version
    put(store, "e", without=ids(store, 1, 3))
    assert (names(store), store.version) == ("ace", version + 1)
    assert names(Store(store.folder)) == "ace"
    assert names(Store(store.folder, version=version)) == "abcd"
    store.remove(ids(store, 0))
    store.remove(ids(store))  # nothing
    assert (names(store), store.version) == ("ce", version + 2)


def test_removed_rows_are_merged_away_once_they_are_many(store):
    for name in "abcdefgh":
        put(store, name)
    store.remove(ids(store, 2))
    store.merge()
    assert store._table.count_rows() == 7
    assert len(store._table.get_fragments()) == 7
    places = Places.build(path=[f"/{name}.jpg" for name in "ijklmnop"], lat=1.0, lon=2.0)
    store.append(places, [FileStamp(1, 1)] * 8, [name.encode() * 16 for name in "ijklmnop"], np.ones((8, 2)))
    store.remove(ids(store, 0, *range(7, 12)))
    store.merge()
    assert names(store) == "bdefghnop"
    assert sum(fragment.num_deletions for fragment in store._table.get_fragments()) == 0


def test_finished_states_outlive_the_clean_up(store, monkeypatch):
    clean = lance.LanceDataset.cleanup_old_versions
    monkeypatch.setattr(
        lance.LanceDataset,
        "cleanup_old_versions",
        lambda self, older_than, **more: clean(self, older_than=timedelta(0), **more),
    )
    finished = []
    for i in range(KEPT + 3):
        put(store, f"{i}x")
        put(store, f"{i}y")
        store.merge()
        finished.append(store.version)
        store.merge()  # nothing has changed: this is no state of its own
    found = list_versions(store.folder)
    assert [version.number for version in found] == finished[-KEPT:]
    assert [version.photos for version in found] == [2 * i + 2 for i in range(3, KEPT + 3)]
    restore(store.folder, readable_version(store.folder, finished[-2]))
    assert len(Store(store.folder)) == 2 * KEPT + 4
    with pytest.raises(PlaceIndexError, match=rf"no version {finished[0]}; there are {finished[-5]}, "):
        readable_version(store.folder, finished[0])


def test_a_version_whose_files_are_gone_is_refused(store):
    put(store, "a")
    put(store, "b")
    first = store.version - 1
    gone = store.folder / "data" / store._table.get_fragments()[0].data_files()[0].path
    put(store, "c", without=ids(store, 0))
    gone.unlink()
    with pytest.raises(PlaceIndexError, match="cannot be read"):
        readable_version(store.folder, first)
    assert names(Store(store.folder)) == "bc"


def test_a_version_that_is_damaged_is_told_of(store):
    put(store, "a")
    put(store, "b")
    manifests = sorted((store.folder / "_versions").glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
    manifests[1].write_bytes(b"damaged")
    with pytest.raises(PlaceIndexError, match="cannot be read"):
        list_versions(store.folder)
    assert names(Store(store.folder)) == "ab"


def test_an_index_that_was_restored_answers_and_goes_on(street, grid, tmp_path):
    places = street(8)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(places[:5], workers=0)
    first = index.versions()[-1]
    assert (first.number, first.photos) == (index.store.version, 5)
    index.sync(places[2:], workers=0)
    assert len(index) == 6
    assert index.restore(first.number) == 5
    assert index.places.path.tolist() == places.path[:5].tolist()
    for held in (index, PlaceIndex.open(index.folder, grid())):
        assert [held.locate(path).matches[0].path for path in places.path[:5]] == places.path[:5].tolist()
    assert index.sync(places, workers=0).new == places.path[5:].tolist()


def test_a_full_disk_is_told_in_bytes_and_leaves_nothing(store, monkeypatch):
    put(store, "a")
    files = sorted(store.folder.rglob("*"))
    write = lance.fragment.write_fragments

    def full(*args, **options):
        write(*args, **options)
        raise OSError("LanceError(IO): No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(lance.fragment, "write_fragments", full)
        with pytest.raises(DiskFullError, match=r"about 0\.00 MB are to be written and [\d,.]+ MB are free"):
            put(store, "b")
    assert sorted(store.folder.rglob("*")) == files
    put(store, "b")
    assert names(store) == "ab"


def test_what_need_not_be_written_is_left_on_a_full_disk(store, monkeypatch):
    put(store, "a")

    def full(_):
        raise OSError("LanceError(IO): No space left on device (os error 28)")

    for name in ("_tag", "_merge_small"):
        with monkeypatch.context() as patched:
            patched.setattr(versions, name, full)
            with pytest.warns(PlaceIndexWarning, match="the disk is full"):
                store.merge()
    assert names(store) == "a"
