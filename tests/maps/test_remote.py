"""Maps and photos in an object store, by the library and by the commands."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import netvlad as nv
from netvlad.errors import PlaceIndexError
from netvlad.maps.index import PlaceIndex
from netvlad.maps.remote import fetch
from netvlad.places import read_places
from netvlad.runtime.addresses import listed, read_address, write_address

MODEL = "test_resnet-max"


def content(index: PlaceIndex) -> tuple:
    held = index.store.held(["path", "digest", "lat", "lon"]).drop_columns(["_rowid", "absolute"]).to_pylist()
    return held, np.concatenate(list(index.store.vectors())).tobytes()


def test_a_map_of_photos_in_a_store_is_that_of_the_same_photos_on_the_disk(netvlad, town, index, uploaded, bucket):
    photos, out = uploaded(town), f"{bucket}/town.vpr"
    ran = netvlad("index", photos, "--out", out, "--model", MODEL)
    assert (ran.code, "8 photos added" in ran.err) == (0, True), ran.err
    there = PlaceIndex.open(out)
    assert content(there) == content(PlaceIndex.open(index))
    assert there.places.path.tolist() == [f"{photos}/{i}.jpg" for i in range(8)]
    assert json.loads(read_address(f"{out}/manifest.json", 10**6))["root"] == photos
    again = netvlad("index", photos, "--out", out)
    assert "0 photos added, 8 were in it" in again.err


def test_a_map_in_a_store_is_asked_and_described(netvlad, town, index, uploaded, bucket, tmp_path, monkeypatch):
    photos, out = uploaded(town), f"{bucket}/town.vpr"
    assert netvlad("index", photos, "--out", out, "--model", MODEL).code == 0
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "laptop"))  # another machine
    asked = json.loads(netvlad("locate", f"{photos}/3.jpg", "--index", out, "--json").out)[0]
    here = json.loads(netvlad("locate", town / "3.jpg", "--index", index, "--json").out)[0]
    assert asked["lat"] == here["lat"]
    assert asked["matches"][0]["path"] == f"{photos}/3.jpg"
    assert (tmp_path / "laptop" / "maps").is_dir()
    told = json.loads(netvlad("info", out).out)
    assert (told["index"], told["photos"]) == (out, 8)
    assert told["bytes"] > 1000


def test_photos_that_come_change_and_go_are_followed(netvlad, town, uploaded, bucket, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(town, folder)
    photos, out = uploaded(folder), f"{bucket}/town.vpr"
    netvlad("index", photos, "--out", out, "--model", MODEL)
    lines = (folder / "places.csv").read_text().splitlines()
    shutil.copy(town / "0.jpg", folder / "7.jpg")  # the content of another
    (folder / "new.jpg").write_bytes((town / "7.jpg").read_bytes())
    lines[3] = lines[3].replace("31.2602", "31.2702")
    del lines[2]
    (folder / "places.csv").write_text("\n".join([*lines, "new.jpg,31.27,34.8,,"]) + "\n")
    write_address(f"{photos}/7.jpg", (folder / "7.jpg").read_bytes())
    write_address(f"{photos}/new.jpg", (folder / "new.jpg").read_bytes())
    write_address(f"{photos}/places.csv", (folder / "places.csv").read_bytes())
    ran = netvlad("index", photos, "--out", out)
    assert ran.code == 0, ran.err
    places = PlaceIndex.open(out).places
    names = [Path(path).name for path in places.path]
    assert sorted(names) == ["0.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "new.jpg"]
    assert places.lat[names.index("2.jpg")] == pytest.approx(31.2702)


def test_photos_on_the_disk_go_into_a_map_in_a_store_and_the_reverse(street, grid, uploaded, bucket, tmp_path):
    places = street(6)
    there = PlaceIndex.create(f"{bucket}/a.vpr", grid())
    assert there.add(places).new == 6
    assert there.places.path.tolist() == places.path.tolist()
    photos = uploaded(Path(places.path[0]).parent)
    moved = nv.Places.build(path=[f"{photos}/{Path(p).name}" for p in places.path], lat=places.lat, lon=places.lon)
    here = PlaceIndex.create(tmp_path / "b.vpr", grid())
    assert here.add(moved).new == 6
    assert PlaceIndex.open(tmp_path / "b.vpr", grid()).places.path.tolist() == moved.path.tolist()
    assert content(here)[1] == content(there)[1]


def test_an_unreadable_photo_is_told_and_the_next_run_takes_it(netvlad, town, uploaded, bucket, tmp_path):
    photos, out = uploaded(town), f"{bucket}/town.vpr"
    good = read_address(f"{photos}/5.jpg", 10**7)
    write_address(f"{photos}/5.jpg", good[: len(good) // 2])
    bad = tmp_path / "bad.csv"
    ran = netvlad("index", photos, "--out", out, "--model", MODEL, "--unreadable", bad)
    assert "7 photos added" in ran.err
    assert f"{photos}/5.jpg" in bad.read_text()
    write_address(f"{photos}/5.jpg", good)
    assert "1 photo added" in netvlad("index", photos, "--out", out).err


def test_what_is_no_map_and_what_is_in_the_way(refused, bucket, grid, town):
    assert "is not an index" in refused("locate", town / "0.jpg", "--index", f"{bucket}/none.vpr")
    write_address(f"{bucket}/other/a.txt", b"x")
    with pytest.raises(PlaceIndexError, match="of no index"):
        PlaceIndex.create(f"{bucket}/other", grid())
    assert list(listed(f"{bucket}/other")) == [f"{bucket}/other/a.txt"]


def test_another_map_at_the_address_is_noticed(street, grid, bucket):
    out = f"{bucket}/a.vpr"
    PlaceIndex.create(out, grid()).add(street(4))
    first = fetch(out)
    assert (first / "search.faiss").exists()
    from pyarrow.fs import FileSystem

    FileSystem.from_uri("s3://maps")[0].delete_dir(out.removeprefix("s3://"))
    assert not (fetch(out) / "manifest.json").exists()
    PlaceIndex.create(out, grid()).add(street(3, seed=1))
    assert len(PlaceIndex.open(out, grid())) == 3


def test_a_second_writer_is_refused_and_the_table_stays_whole(street, grid, bucket, tmp_path, monkeypatch):
    out, places = f"{bucket}/a.vpr", street(40)
    first = PlaceIndex.create(out, grid())
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "other"))  # as on two machines, whose locks are their own
    second = PlaceIndex.open(out, grid())
    stale = second.store
    assert first.add(places[:20], workers=0).new == 20
    with pytest.raises(PlaceIndexError, match="another process"):
        stale.remove(np.array([0], np.uint64))

    start, refusals = threading.Barrier(2), []

    def write(index: PlaceIndex) -> None:
        start.wait()
        try:
            index.add(places, workers=0)
        except PlaceIndexError as e:
            refusals.append(e.reason)

    threads = [threading.Thread(target=write, args=(index,)) for index in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("another process" in reason for reason in refusals)
    again = PlaceIndex.open(out, grid())
    again.sync(places, workers=0)
    assert sorted(again.places.path) == sorted(places.path)


def test_a_killed_first_attempt_is_gone_on_with(street, grid, bucket, monkeypatch):
    from netvlad.maps import creating

    def killed(*_):
        raise KeyboardInterrupt

    out = f"{bucket}/a.vpr"
    with monkeypatch.context() as patch:
        patch.setattr(creating, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            PlaceIndex.create(out, grid())
    index = PlaceIndex.create(out, grid())
    assert index.add(street(3)).new == 3
    assert len(PlaceIndex.open(out, grid())) == 3


def test_a_store_that_does_not_answer_is_told_of(bucket, grid, monkeypatch, street):
    from netvlad.maps import remote

    def unreachable(*_):
        raise OSError(5, "no connection")

    out = f"{bucket}/a.vpr"
    PlaceIndex.create(out, grid()).add(street(3))
    monkeypatch.setattr(remote, "read_address", unreachable)
    with pytest.raises(PlaceIndexError, match="cannot be reached"):
        PlaceIndex.open(out)


def test_photos_stay_in_the_map_while_their_folder_cannot_be_listed(uploaded, bucket, grid, street, monkeypatch):
    from netvlad.maps import stamps

    places = street(3)
    photos = uploaded(Path(places.path[0]).parent)
    there = nv.Places.build(path=[f"{photos}/{Path(p).name}" for p in places.path], lat=places.lat, lon=places.lon)
    index = PlaceIndex.create(f"{bucket}/a.vpr", grid())
    index.sync(there)

    def unreachable(*_, **__):
        raise OSError(5, "no connection")

    monkeypatch.setattr(stamps, "listed", unreachable)
    monkeypatch.setattr("netvlad.images.opening.read_address", unreachable)
    assert not index.sync(there).vanished
    assert len(index) == 3


def test_photos_of_a_store_are_read_once(uploaded, bucket, grid, street, monkeypatch):
    from netvlad.images import decode

    places = street(8)
    for name in places.path:
        Path(name).write_bytes(Path(name).read_bytes().ljust(5000, b"\0"))  # all are of one size
    shutil.copy(places.path[0], places.path[7])
    photos = uploaded(Path(places.path[0]).parent)
    there = nv.Places.build(path=[f"{photos}/{Path(p).name}" for p in places.path], lat=places.lat, lon=places.lon)
    index = PlaceIndex.create(f"{bucket}/a.vpr", grid())
    index.sync(there[:4], workers=0)
    read, whole = [], decode.read_file
    monkeypatch.setattr(decode, "read_file", lambda path: read.append(path) or whole(path))
    found = index.sync(there, workers=0)
    assert (found.new, found.duplicates) == (there.path[4:7].tolist(), {there.path[7]: there.path[0]})
    assert read == there.path[4:].tolist()


def test_places_of_a_store(uploaded, town, bucket, tmp_path):
    photos = uploaded(town)
    assert read_places(photos).path.tolist() == [f"{photos}/{i}.jpg" for i in range(8)]
    assert len(read_places(f"{photos}/places.csv")) == 8
    with pytest.raises(nv.errors.PlacesError, match="holds no photos"):
        read_places(f"{bucket}/none")
