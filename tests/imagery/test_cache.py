from __future__ import annotations

import os

import pytest

from netvlad.imagery.area import Area
from netvlad.imagery.cache import Cache
from netvlad.imagery.fetched import read_fetched
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where

TOWN = Area(Where(bbox=(2.3, 48.8, 2.4, 48.9)))


@pytest.fixture
def take(panoramax, tmp_path):
    """take(name) -> the pictures that a map of that name has fetched, by way of one cache."""
    reader = open_source("panoramax", panoramax.url, pause=0.0)

    def take(name):
        folder = tmp_path / name
        return fetch(reader, find(reader, TOWN, folder), folder, cache=Cache(tmp_path / "cache", "sd"))

    with reader.web:
        yield take


def contents(folder):
    return {file.stem: file.read_bytes() for file in sorted((folder / "pictures").iterdir())}


@pytest.mark.parametrize("named", [True, False])
def test_a_second_map_fetches_nothing_that_the_first_one_has(panoramax, take, tmp_path, named):
    panoramax.names = named
    for i in range(3):
        panoramax.add(f"p{i}", 48.81 + i / 1000)
    take("a")
    panoramax.add("p3", 48.83)
    assert take("b").new == 4
    assert set(panoramax.fetched.values()) == {1}
    assert contents(tmp_path / "a").items() <= contents(tmp_path / "b").items()
    assert len(read_fetched(tmp_path / "b")) == 4


def test_bytes_lie_on_the_disk_once_or_are_copied(panoramax, take, tmp_path, monkeypatch):
    panoramax.add("p")
    take("a")
    (one,) = (tmp_path / "a" / "pictures").iterdir()
    assert one.stat().st_nlink == 2

    def refuse(*_):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    take("b")
    (two,) = (tmp_path / "b" / "pictures").iterdir()
    assert (two.stat().st_nlink, two.read_bytes()) == (1, one.read_bytes())


def test_a_picture_that_has_changed_is_fetched_anew_and_one_withdrawn_forgotten(panoramax, take, tmp_path):
    panoramax.names = True
    panoramax.add("p")
    panoramax.add("q", 48.86)
    take("a")
    panoramax.files["p"] = panoramax.files["q"]  # faces were blurred
    take("b")
    assert panoramax.fetched == {"p": 2, "q": 1}
    assert contents(tmp_path / "b")["panoramax-p"] == panoramax.files["q"]
    assert contents(tmp_path / "a")["panoramax-p"] != panoramax.files["q"]
    panoramax.withdraw("p")
    take("a")
    assert [file.stem for file in (tmp_path / "cache").rglob("*.jpg")] == ["panoramax-q-sd"]
