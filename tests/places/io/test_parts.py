"""A folder of Parquet files is one table, read a piece at a time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvlad.errors import PlacesError
from netvlad.places import read_places
from netvlad.places.io import parts as parts_module
from netvlad.places.io.parts import Parts, parts_among
from netvlad.places.io.readers import open_places


@pytest.fixture
def write(tmp_path):
    """write(name, first, n): n photos of a table, from number `first` on."""

    def make(name: str, first: int, n: int) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        numbers = np.arange(first, first + n)
        paths = pa.array([f"photos/{i:03d}.jpg" for i in numbers], pa.string())
        pq.write_table(pa.table({"path": paths, "lat": 48 + numbers / 1000, "lon": 2 + numbers / 1000}), file)

    return make


@pytest.fixture
def table(write, tmp_path):
    """20 photos in three files, of which one is empty, beside what writers leave."""
    write("region=a/part-1.parquet", 4, 6)
    write("region=a/part-0.parquet", 0, 4)
    write("region=b/part-0.parquet", 10, 0)
    write("region=b/part-1.parquet", 10, 10)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "region=b" / "_metadata.parquet").write_bytes(b"no rows")
    (tmp_path / ".hidden.parquet").write_bytes(b"no table")
    return tmp_path


def test_all_files_are_one_table_whose_paths_are_relative_to_the_folder(table):
    places = read_places(table)
    assert [os.path.relpath(path, table) for path in places.path] == [f"photos/{i:03d}.jpg" for i in range(20)]
    np.testing.assert_allclose(places.lat, 48 + np.arange(20) / 1000)


@pytest.mark.parametrize(("piece", "lengths"), [(1, [4, 6, 10]), (5, [10, 10]), (10, [10, 10]), (11, [20])])
def test_pieces_are_of_whole_files(table, monkeypatch, piece, lengths):
    monkeypatch.setattr(parts_module, "PIECE", piece)
    parts = open_places(table)
    assert isinstance(parts, Parts)
    assert [len(piece) for piece in parts if len(piece)] == lengths


def test_at_an_address(table):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for file in table.rglob("*.parquet"):
        store.pipe(f"/parts/{file.relative_to(table).as_posix()}", file.read_bytes())
    try:
        places = read_places("memory://parts")
        assert places.path.tolist() == [f"memory://parts/photos/{i:03d}.jpg" for i in range(20)]
    finally:
        store.rm("/parts", recursive=True)


def test_a_sample_is_of_all_pieces_and_of_its_ends(table):
    parts = open_places(table)
    some = parts.sample(8)
    numbers = [int(Path(path).stem) for path in some.path]
    assert len(numbers) == 8
    assert {0, 3, 4, 9, 10, 19} <= set(numbers)
    assert numbers == sorted(numbers)
    assert parts.sample(8).path.tolist() == some.path.tolist() != parts.sample(8, seed=2).path.tolist()
    assert len(parts.sample(100)) == 20
    assert len(parts.sample(0)) == 6


def test_each_file_is_told_of_once(table):
    from dataclasses import replace

    noted = []
    parts = replace(open_places(table), noted=lambda path, places: noted.append((Path(path).name, len(places))))
    parts.sample(2)
    assert len(parts.whole()) == 20
    assert noted == [("part-0.parquet", 4), ("part-1.parquet", 6), ("part-0.parquet", 0), ("part-1.parquet", 10)]


def test_photos_come_before_tables_that_lie_beside_them(write, tmp_path):
    write("other/a.parquet", 0, 3)
    (tmp_path / "@3@4@.jpg").write_bytes(b"")
    assert len(read_places(tmp_path)) == 1
    write("places.parquet", 0, 2)
    assert len(read_places(tmp_path)) == 2


def test_a_file_that_is_no_table_is_named(table):
    (table / "region=b" / "part-2.parquet").write_bytes(b"no table")
    with pytest.raises(PlacesError, match=r"region=b.part-2\.parquet"):
        read_places(table)


def test_no_rows_at_all(write, tmp_path):
    write("a.parquet", 0, 0)
    for read in (Parts.whole, lambda parts: parts.sample(3)):
        with pytest.raises(PlacesError, match="holds no rows in 1 Parquet"):
            read(open_places(tmp_path))


def test_tracks_are_for_photos(table, tmp_path):
    track = tmp_path / "a.gpx"
    track.write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg><trkpt lat="1" lon="2">'
        "<time>2025-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>"
    )
    with pytest.raises(PlacesError, match="GPX tracks are for photos"):
        read_places(table, gpx=[track])


def test_names_of_the_folder_itself_do_not_hide_it():
    folder = "/a/_b/.c"
    assert parts_among([f"{folder}/x.parquet", f"{folder}/_y/x.parquet"], folder) == (f"{folder}/x.parquet",)
