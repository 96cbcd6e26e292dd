from __future__ import annotations

import os
from pathlib import Path

import lance
import numpy as np
import pytest

from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.maps import store as module
from netvlad.maps import versions
from netvlad.maps.stamps import FileStamp
from netvlad.maps.store import Store
from netvlad.places import Places


@pytest.fixture
def every_column() -> Places:
    """Hemispheres, gaps, both clocks, empty strings, and text of many alphabets."""
    return Places.build(
        path=["/a, b;c.jpg", '/deep/quo"te.jpg', "/é/東京.jpg", "/ .png"],
        lat=[31.26196648, -33.856784, 1 / 3, 89.9],
        lon=[34.80118454, 151.215297, -179.999999, 0.0],
        heading=[12.3, np.nan, 359.99, 0.0],
        time=["2025-12-22T09:47:11+02:00", "2025-12-22 09:47:11", None, "1969-12-31T23:59:59Z"],
        panorama=["p1", "", "7", "東"],
        split=["database", "query", "", "x"],
    )


def some_places(n: int, first: int = 0) -> Places:
    rows = np.arange(first, first + n)
    return Places.build(path=[f"/{i}.jpg" for i in rows], lat=0.001 * rows, lon=9.0)


def stamps(n: int) -> list[FileStamp]:
    return [FileStamp(100 + i, 10**18 + i) for i in range(n)]


def digests(n: int, first: int = 0) -> list[bytes]:
    return [(first + i).to_bytes(16, "big") for i in range(n)]


def seen(store: Store) -> dict[str, tuple[FileStamp, bytes]]:
    """Stamp and digest of each path."""
    rows = store.held(["path", "size", "mtime_ns", "digest"]).to_pylist()
    return {row["path"]: (FileStamp(row["size"], row["mtime_ns"]), row["digest"]) for row in rows}


def all_vectors(store: Store, start: int = 0) -> np.ndarray:
    return np.concatenate([np.zeros((0, store.dim), np.float32), *store.vectors(start)])


def test_every_column_comes_back(every_column, assert_same_places, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    store = Store.create(tmp_path / "t.lance", 6)
    store.append(every_column, stamps(4), digests(4), vectors)
    for opened in (store, Store(tmp_path / "t.lance")):
        assert len(opened) == 4
        assert opened.dim == 6
        assert_same_places(opened.places(), every_column)
        assert seen(opened) == dict(zip(every_column.path, zip(stamps(4), digests(4), strict=True), strict=True))
        got = all_vectors(opened)
        assert got.dtype == np.float32
        # the nearest float16: at most half a step of 2^-11 of the value away
        np.testing.assert_array_equal(got, vectors.astype(np.float16).astype(np.float32))
        assert np.abs(got - vectors).max() <= np.abs(vectors).max() * 2**-11


def test_planar_places_come_back(assert_same_places, tmp_path):
    places = Places.build(path=["/a.jpg", "/b.jpg"], easting=[0.0, 584949.89], northing=[-3.5, 4477141.96])
    store = Store.create(tmp_path / "t.lance", 2)
    store.append(places, stamps(2), digests(2), np.eye(2, dtype=np.float32))
    assert_same_places(store.places(), places)
    assert not store.places().geodetic


def test_a_table_of_before_there_were_place_labels_and_checksums(assert_same_places, tmp_path):
    later = ("place", "source", "place_sum", "vector_sum")
    new = Store.create(tmp_path / "new", 2)
    new.append(some_places(2), stamps(2), digests(2), np.eye(2))
    table = lance.dataset(str(tmp_path / "new")).to_table().drop_columns(list(later)).replace_schema_metadata()
    lance.write_dataset(table, str(tmp_path / "t"))
    store = Store(tmp_path / "t")
    assert not set(later) & set(store._table.schema.names)
    assert (store.has_sums, store.fingerprint(2), store.map_id) == (False, b"", "")
    assert_same_places(store.places(), some_places(2))
    np.testing.assert_array_equal(np.concatenate(list(store.vectors())), np.eye(2))
    store.append(some_places(1, first=2), stamps(1), digests(1, first=2), np.ones((1, 2)))
    assert store.has_sums
    assert len(store.fingerprint(3)) == 16
    assert_same_places(store.places(), some_places(3))
    assert_same_places(store.places(np.array([2, 0])), some_places(3)[[2, 0]])
    np.testing.assert_array_equal(np.concatenate(list(store.vectors())), [[1, 0], [0, 1], [1, 1]])


def test_rows_are_taken_in_the_order_asked_for(tmp_path, assert_same_places):
    store = Store.create(tmp_path / "t.lance", 2)
    store.append(some_places(5), stamps(5), digests(5), np.zeros((5, 2), np.float32))
    rows = np.array([3, 0, 3, 4])
    assert_same_places(store.places(rows), some_places(5)[rows])


def test_an_empty_table_can_be_read(tmp_path):
    store = Store.create(tmp_path / "t.lance", 3)
    assert len(store) == len(store.places()) == 0
    assert list(store.vectors()) == []
    assert seen(store) == {}


def test_the_order_outlives_many_appends_and_a_merge(tmp_path, monkeypatch, assert_same_places):
    monkeypatch.setattr(versions, "FRAGMENTS", 4)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 3 * 7)  # blocks of 7 rows, across fragments
    rng = np.random.default_rng(1)
    store, parts, n = Store.create(tmp_path / "t.lance", 3), [], 0
    for size in (5, 1, 8, 3, 2, 9):
        parts.append(rng.normal(size=(size, 3)).astype(np.float32))
        store.append(some_places(size, n), stamps(size), digests(size, n), parts[-1])
        n += size
    want = np.concatenate(parts).astype(np.float16).astype(np.float32)

    def check(store):
        assert len(store) == n
        assert_same_places(store.places(), some_places(n))
        assert [len(block) for block in store.vectors()] == [7, 7, 7, 7]
        for start in (0, 4, 5, 13, n - 1, n):
            np.testing.assert_array_equal(all_vectors(store, start), want[start:])

    check(store)
    reading = Store(tmp_path / "t.lance")
    assert len(reading._table.get_fragments()) == 6
    store.merge()
    check(store)
    check(Store(tmp_path / "t.lance"))
    check(reading)  # opened before: its files are still there
    assert len(Store(tmp_path / "t.lance")._table.get_fragments()) == 1
    store.append(some_places(2, n), stamps(2), digests(2, n), np.zeros((2, 3), np.float32))
    store.merge()  # two fragments are few
    assert_same_places(store.places(), some_places(n + 2))


def test_few_files_are_left_as_they_are(tmp_path):
    store = Store.create(tmp_path / "t.lance", 2)
    for i in range(3):
        store.append(some_places(1, i), stamps(1), digests(1, i), np.zeros((1, 2), np.float32))
    store.merge()
    assert len(list((tmp_path / "t.lance" / "data").iterdir())) == 3


def test_a_damaged_version_of_before_is_told_of_and_costs_nothing(tmp_path, monkeypatch, assert_same_places):
    def corrupt(self, **options):  # as Lance says it, when it happens to read that version
        raise OSError("Encountered corrupt file 18446744073709551613.manifest: magic number does not match")

    store = Store.create(tmp_path / "t.lance", 2)
    store.append(some_places(3), stamps(3), digests(3), np.zeros((3, 2), np.float32))
    monkeypatch.setattr(lance.LanceDataset, "cleanup_old_versions", corrupt)
    with pytest.warns(PlaceIndexWarning, match=r"t.lance.*18446744073709551613.manifest"):
        store.merge()
    assert_same_places(store.places(), some_places(3))


def test_a_failing_append_leaves_the_state_before(tmp_path, monkeypatch, assert_same_places):
    import lance

    store = Store.create(tmp_path / "t.lance", 2)
    good = np.eye(2, dtype=np.float32)
    store.append(some_places(2), stamps(2), digests(2), good)
    with pytest.raises(ValueError, match="vector expected length 2 but got length 1"):
        store.append(some_places(2, 2), stamps(2), digests(2, 2), good[:1])
    with pytest.raises(ValueError, match="length 16"):
        store.append(some_places(2, 2), stamps(2), [b"short"] * 2, good)

    def full(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lance.LanceDataset, "commit", full)
        with pytest.raises(OSError, match="disk full"):
            store.append(some_places(2, 2), stamps(2), digests(2, 2), good)
    for opened in (store, Store(tmp_path / "t.lance")):
        assert_same_places(opened.places(), some_places(2))
    store.append(some_places(2, 2), stamps(2), digests(2, 2), good)
    assert_same_places(Store(tmp_path / "t.lance").places(), some_places(4))


def test_what_another_opening_added_is_kept(tmp_path):
    first = Store.create(tmp_path / "t.lance", 2)
    second = Store(tmp_path / "t.lance")
    vectors = np.zeros((2, 2), np.float32)
    second.append(some_places(2), stamps(2), digests(2), vectors)
    first.append(some_places(2, 2), stamps(2), digests(2, 2), vectors)
    assert Store(tmp_path / "t.lance").places().path.tolist() == [f"/{i}.jpg" for i in range(4)]


def test_creating_anew_empties_what_an_interrupted_attempt_left(tmp_path):
    store = Store.create(tmp_path / "t.lance", 2)
    store.append(some_places(2), stamps(2), digests(2), np.zeros((2, 2), np.float32))
    again = Store.create(tmp_path / "t.lance", 5)
    assert (len(again), again.dim) == (0, 5)


@pytest.mark.parametrize("kind", ["missing", "empty", "a file", "broken"])
def test_a_folder_that_is_no_table(kind, tmp_path):
    folder = tmp_path / "t.lance"
    if kind == "a file":
        folder.write_text("x")
    elif kind == "broken":
        Store.create(folder, 2)
        for manifest in (folder / "_versions").iterdir():
            manifest.write_bytes(b"garbage")
    elif kind == "empty":
        folder.mkdir()
    with pytest.raises(PlaceIndexError, match=r"t\.lance: the table of places cannot be read"):
        Store(folder)


def test_a_stamp_is_of_size_and_time(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"12345")
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    assert FileStamp.of(str(file)) == FileStamp(5, Path(file).stat().st_mtime_ns)
    assert FileStamp.of(str(tmp_path / "none.jpg")) == FileStamp.of("a\0b") == FileStamp(-1, -1)
