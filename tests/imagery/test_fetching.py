from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from netvlad.errors import NetvladError, PlacesError
from netvlad.imagery.area import Area
from netvlad.imagery.fetched import read_fetched
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where
from netvlad.places import read_places

TOWN = Area(Where(bbox=(2.3, 48.8, 2.4, 48.9)))


@pytest.fixture
def reader(panoramax):
    opened = open_source("panoramax", panoramax.url, pause=0.01)
    with opened.web:
        yield opened


def fill(server, n):
    for i in range(n):
        server.add(f"p{i}", 48.81 + i * 0.001, fov=360 if i % 2 else 70)


def take(reader, folder, where=TOWN, **options):
    return fetch(reader, find(reader, where, folder, **options), folder)


def test_a_folder_is_an_ordinary_table_with_licence_credit_and_link(panoramax, reader, tmp_path):
    fill(panoramax, 3)
    panoramax.add("q", 48.85, heading=None, license="CC-BY-SA-4.0", **{"geovisio:producer": "Bob,\nof Paris"})
    assert take(reader, tmp_path).new == 4
    places = read_places(tmp_path / "places.csv")
    assert len(places) == 4
    assert not places.skipped
    assert places.is_utc.all()
    pictures = {picture.id: picture for picture in read_fetched(tmp_path)}
    assert [pictures[name].whole for name in ("p0", "p1", "q")] == [False, True, True]
    assert pictures["q"].licence == "CC-BY-SA-4.0"
    credits = (tmp_path / "CREDITS").read_text()
    for said in ("etalab-2.0", "CC-BY-SA-4.0", "Bob", "Ada", pictures["q"].link):
        assert said in credits


def test_nothing_is_fetched_twice(panoramax, reader, tmp_path):
    fill(panoramax, 4)
    take(reader, tmp_path)
    panoramax.add("new", 48.86)
    assert take(reader, tmp_path).new == 1
    assert set(panoramax.fetched.values()) == {1}


def test_items_outside_of_the_area_are_dropped(panoramax, reader, tmp_path):
    fill(panoramax, 2)
    panoramax.add("out", 10.0, 10.0)
    panoramax.strangers = [panoramax.items.pop("out")]
    assert {p.id for p in find(reader, TOWN, tmp_path).pictures} == {"p0", "p1"}
    panoramax.add("corner", 48.85 + 0.0044, 2.35 + 0.0066)
    near = Area(Where(near=(48.85, 2.35, 500.0)))
    assert "corner" not in {p.id for p in find(reader, near, tmp_path).pictures}


def test_a_span_of_time_leaves_others_out(panoramax, reader, tmp_path):
    panoramax.add("old", 48.81, time="2019-01-01T00:00:00Z")
    panoramax.add("new", 48.82)
    panoramax.add("never", 48.83, time=None)
    where = Area(replace(TOWN.where, after="2020"))
    assert [p.id for p in find(reader, where, tmp_path).pictures] == ["new"]


def test_what_was_withdrawn_goes_and_what_the_search_forgot_stays(panoramax, reader, tmp_path):
    fill(panoramax, 3)
    take(reader, tmp_path)
    panoramax.withdraw("p0")
    by_id = panoramax.search
    forgetful = {"p1"}
    panoramax.search = lambda body: [i for i in by_id(body) if "ids" in body or i["id"] not in forgetful]
    found = find(reader, TOWN, tmp_path)
    assert [p.id for p in found.withdrawn] == ["p0"]
    fetch(reader, found, tmp_path)
    assert {p.id for p in read_fetched(tmp_path)} == {"p1", "p2"}
    assert len(list((tmp_path / "pictures").iterdir())) == 2
    assert "p0" not in (tmp_path / "CREDITS").read_text()


def test_a_search_that_answers_nothing_empties_no_folder(panoramax, reader, tmp_path):
    fill(panoramax, 2)
    take(reader, tmp_path)
    by_id = panoramax.search
    panoramax.search = lambda body: by_id(body) if "ids" in body else []
    found = find(reader, TOWN, tmp_path)
    assert (len(found.pictures), len(found.withdrawn)) == (2, 0)


def test_a_picture_that_moved_out_of_the_area_goes(panoramax, reader, tmp_path):
    fill(panoramax, 2)
    take(reader, tmp_path)
    panoramax.items["p0"]["geometry"]["coordinates"] = [2.5, 48.81]
    wide = panoramax.items["p0"]
    panoramax.strangers = [wide]
    assert [p.id for p in find(reader, TOWN, tmp_path).withdrawn] == ["p0"]


def test_one_that_is_gone_since_the_search_is_told(panoramax, reader, tmp_path):
    fill(panoramax, 3)
    found = find(reader, TOWN, tmp_path)
    panoramax.withdraw("p1")
    got = fetch(reader, found, tmp_path)
    assert list(got.failed) == ["panoramax-p1"]
    assert len(got.pictures) == len(read_fetched(tmp_path)) == 2


def test_the_size_is_told_before(panoramax, reader, tmp_path):
    fill(panoramax, 4)
    assert find(reader, TOWN, tmp_path).size == pytest.approx(sum(map(len, panoramax.files.values())), rel=0.3)
    assert not panoramax.fetched


def test_a_disk_without_room_is_told_before(panoramax, reader, tmp_path, monkeypatch):
    fill(panoramax, 1)
    found = find(reader, TOWN, tmp_path)
    monkeypatch.setattr("netvlad.imagery.fetching.SPARE", 1 << 60)
    with pytest.raises(NetvladError):
        fetch(reader, found, tmp_path)
    assert not panoramax.fetched


def test_a_folder_of_something_else_is_refused(panoramax, reader, tmp_path):
    (tmp_path / "places.csv").write_text("path,lat,lon\na.jpg,1,2\n")
    with pytest.raises(PlacesError):
        find(reader, TOWN, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="kills by a signal")
def test_kill_at_random_and_go_on_loses_nothing_and_fetches_nothing_twice(panoramax, reader, tmp_path):
    fill(panoramax, 30)
    panoramax.faults["/api/pictures"] = ["slow"] * 6
    program = f"""
from pathlib import Path
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.imagery.area import Area
from netvlad.maps.where import Where
reader, folder = open_source("panoramax", {panoramax.url!r}), Path({str(tmp_path / "photos")!r})
fetch(reader, find(reader, Area(Where(bbox=(2.3, 48.8, 2.4, 48.9))), folder), folder)
"""
    whole: set[str] = set()
    for seed in range(1):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.Popen([sys.executable, "-c", program], env=env)
        deadline = time.monotonic() + 60
        wanted = random.Random(seed).randint(3, 10) + len(whole)
        while sum(panoramax.fetched.values()) < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
        there = {path.stem for path in (tmp_path / "photos" / "pictures").glob("*.jpg")}
        assert whole <= there
        whole = there
    got = take(reader, tmp_path / "photos")
    assert len(got.pictures) == 30
    assert not list(Path(tmp_path / "photos" / "pictures").glob(".*"))
    assert sum(panoramax.fetched.values()) <= 30 + 2  # the two in flight at the kill were not whole
