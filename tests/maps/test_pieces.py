"""A map that follows a table in many files, of which it reads a piece at a time, is the map of the whole table."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from netvlad.errors import PlaceIndexError
from netvlad.images import decode
from netvlad.maps import survey
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places, write_places
from netvlad.places.io import parts as parts_module
from netvlad.places.io.parts import Parts
from netvlad.places.io.readers import open_places

N = 12  # photos


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pieces of a file each, and blocks of the map smaller than it."""
    monkeypatch.setattr(parts_module, "PIECE", 1)
    monkeypatch.setattr("netvlad.maps.store.BLOCK_ROWS", 5)


@pytest.fixture
def table(tmp_path):
    """write(*groups) -> the table whose files hold these places."""

    def write(*groups: Places) -> Parts:
        folder = tmp_path / "table"
        shutil.rmtree(folder, ignore_errors=True)
        for number, places in enumerate(groups):
            file = folder / f"region={number}" / "part-0.parquet"
            file.parent.mkdir(parents=True)
            write_places(places, file)
        found = open_places(folder)
        assert isinstance(found, Parts)
        return found

    return write


def follow(index: PlaceIndex, parts: Parts, **how) -> list:
    told: list = []
    index.sync_parts(parts, workers=0, told=told.append, **how)
    return told


def held(index: PlaceIndex) -> set:
    """Path, content and latitude of each row, with what answers it."""
    rows = PlaceIndex.open(index.folder, index.model).store.held(["path", "digest", "lat"]).to_pylist()
    assert [finding.part for finding in check_index(index.folder, deep=True) if not finding.sound] == []
    paths = index.store.root.opened_objects(np.array([row["path"] for row in rows], object))
    for path in paths:
        assert index.locate(path).matches[0].path == path
    return {(path, row["digest"], round(row["lat"], 7)) for path, row in zip(paths, rows, strict=True)}


def test_a_new_map_of_a_table_in_parts(table, street, grid, tmp_path, monkeypatch):
    places = street(N)
    parts = table(places[:5], places[5:6], places[6:])
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    assert [len(found.new) for found in follow(index, parts, dry_run=True)] == [5, 1, 6]
    assert [len(found.new) for found in follow(index, parts)] == [5, 1, 6]
    assert index.places.path.tolist() == places.path.tolist()
    assert index.store.root.folder == str(Path(places.path[0]).parent)
    assert len(held(index)) == N

    read = []
    monkeypatch.setattr(decode, "read_file", lambda path: read.append(path))
    version = index.store.version
    again = follow(index, parts)
    assert [found.known for found in again] == [5, 1, 6]
    assert (any(again), read, index.store.version) == (False, [], version)


def test_it_goes_on_where_it_stopped_and_reads_what_is_new_once(table, street, grid, tmp_path, monkeypatch):
    places = street(N)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    follow(index, table(places[:5], places[5:8]), keep_missing=True)
    read, whole = [], decode.read_file

    def noted(path):
        read.append(path)
        return whole(path)

    monkeypatch.setattr(decode, "read_file", noted)
    monkeypatch.setattr(survey, "READERS", 1)
    found = follow(index, table(places[:5], places[5:8], places[8:]))
    assert [(len(f.new), f.known) for f in found] == [(0, 5), (0, 3), (4, 0)]
    assert read == places.path[8:].tolist()


def test_the_photos_of_a_file_that_is_gone_go_and_of_one_that_is_not_there_stay(table, street, grid, tmp_path):
    places, others = street(N), street(3, seed=1)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.sync(others, source=tmp_path / "others", workers=0)
    follow(index, table(places[:5], places[5:]))
    kept = table(places[5:])
    written = (index.folder / "search.faiss").stat().st_mtime_ns
    assert follow(index, kept, keep_missing=True)[-1].vanished == places.path[:5].tolist()
    assert (len(index), (index.folder / "search.faiss").stat().st_mtime_ns) == (N + 3, written)
    assert follow(index, kept, dry_run=True)[-1].vanished == places.path[:5].tolist()
    assert follow(index, kept)[-1].vanished == places.path[:5].tolist()
    assert {path for path, *_ in held(index)} == {*others.path, *places.path[5:]}


def test_nothing_goes_when_all_photos_are_gone(table, street, grid, tmp_path):
    places = street(N)
    parts = table(places[:5], places[5:])
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    follow(index, parts)
    shutil.move(Path(places.path[0]).parent, tmp_path / "elsewhere")
    with pytest.raises(PlaceIndexError, match="not mounted"):
        follow(index, parts)
    assert len(index) == N


def test_a_photo_that_moves_between_pieces_keeps_its_row(table, street, grid, tmp_path, monkeypatch):
    places = street(N)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    follow(index, table(places[:6], places[6:]))
    there = str(tmp_path / "photos" / "moved.jpg")
    os.rename(places.path[0], there)
    now = Places.build(path=[*places.path[1:], there], lat=[*places.lat[1:], places.lat[0]], lon=34.8)
    monkeypatch.setattr(index.model, "describe", lambda images: np.zeros((len(images), index.dim), np.float32))
    found = follow(index, table(now[:6], now[6:]))
    assert found[-1].moved == [(places.path[0], there)]
    monkeypatch.undo()
    assert {path for path, *_ in held(index)} == set(now.path)


def test_kinds_of_positions_do_not_mix_between_pieces(table, street, grid, tmp_path):
    places = street(4)
    planar = Places.build(path=places.path[2:], easting=[1.0, 2.0], northing=[3.0, 4.0])
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    follow(index, table(places[:2]))
    with pytest.raises(PlaceIndexError, match="no distance between"):
        follow(index, table(places[:2], planar))
    assert len(index) == 2


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_photos_it_is_the_map_of_the_whole_table(table, street, grid, tmp_path, seed):
    rng = np.random.default_rng(seed)
    first = street(N)
    position = dict(zip(first.path.tolist(), first.lat.tolist(), strict=True))
    spare = street(30, seed=1).path.tolist()
    whole, pieces = (PlaceIndex.create(tmp_path / name, grid()) for name in ("whole.vpr", "pieces.vpr"))
    for _ in range(4):
        for _ in range(int(rng.integers(1, 5))):
            one, other = rng.choice(sorted(position), 2, replace=False)
            match rng.choice(["content", "copy over", "swap", "move", "copy", "leave", "delete", "come", "relocate"]):
                case "content":
                    shutil.copy(spare.pop(), one)
                case "copy over" if os.path.exists(other):
                    shutil.copy(other, one)
                case "swap" if os.path.exists(one) and os.path.exists(other):
                    os.rename(one, f"{one}~"), os.rename(other, one), os.rename(f"{one}~", other)
                case "move" if os.path.exists(one):
                    position[shutil.move(one, f"{one[:-4]}m.jpg")] = position.pop(one)
                case "copy" if os.path.exists(one):
                    position[shutil.copy(one, f"{one[:-4]}c.jpg")] = position[one] + 0.01
                case "leave":
                    position.pop(one)
                case "delete" if os.path.exists(one):
                    os.remove(one)
                case "come":
                    position[spare.pop()] = 31.0
                case "relocate":
                    position[one] += 0.001
        order = rng.permutation(sorted(position)).tolist()
        now = Places.build(path=order, lat=[position[path] for path in order], lon=34.8)
        cuts = sorted(rng.choice(len(now), 2))
        parts = table(*(now[a:b] for a, b in zip([0, *cuts], [*cuts, len(now)], strict=True) if b > a))
        whole.sync(now, source=parts.folder, workers=0)
        follow(pieces, parts)
        rows = held(pieces)  # of copies, any may be in
        assert sorted(content for _, content, _ in rows) == sorted(content for _, content, _ in held(whole))
        assert rows <= {(path, decode.photo_digest(path), round(position[path], 7)) for path in position}
