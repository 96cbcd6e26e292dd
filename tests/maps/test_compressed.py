"""A map whose search is compressed follows its photos as any other, and tells what its search is worth."""

from __future__ import annotations

import os

import pytest

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.maps.manifest import read_manifest
from netvlad.maps.search_told import search_told
from netvlad.search.options import SearchOptions, parse_memory

COMPRESSED = SearchOptions("compressed")


@pytest.fixture
def made(tmp_path, walks, grid):
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.search = COMPRESSED
    index.add(walks(3, 20), workers=0)
    return index


def answers(index: PlaceIndex) -> list[tuple[str, float]]:
    """The best match of some photos, and how far it is from what is asked, as both kinds of search round it."""
    locations = index.locate_all(index.places.path[::7], workers=0).locations
    return [(found.matches[0].path, round(found.matches[0].distance, 3)) for found in locations]


def unsound(index: PlaceIndex) -> list[str]:
    return [finding.part for finding in check_index(index.folder, deep=True) if not finding.sound]


def test_it_answers_as_an_exact_one_and_follows(made, grid, recwarn):
    told = answers(made)
    assert search_told(made.folder, made.dim)["kind"] == "compressed"
    places = made.places
    made.remove(places.path[:5].tolist())
    made.add(places, workers=0)
    assert unsound(made) == []
    reopened = PlaceIndex.open(made.folder, grid())
    assert len(reopened) == 60
    found = answers(reopened)
    reopened.search = SearchOptions("exact")
    reopened.add(places, workers=0)
    assert search_told(made.folder, made.dim)["kind"] == "exact"
    assert list(made.folder.glob("*.vectors")) == []
    assert answers(reopened) == found
    assert len(found) == len(told)
    assert [w for w in recwarn if "made anew" in str(w.message)] == []


def test_what_is_wanted_is_kept(made, grid):
    assert read_manifest(made.folder).search == COMPRESSED
    (made.folder / "search.faiss").unlink()
    answers(PlaceIndex.open(made.folder, grid()))
    assert search_told(made.folder, made.dim)["kind"] == "compressed"


def test_a_damaged_vector_is_found_by_check_and_healed(made, grid):
    (file,) = made.folder.glob("*.vectors")
    want = answers(made)
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    os.unlink(file)
    file.write_bytes(data)
    assert unsound(made) == ["search.faiss"]
    with pytest.raises(PlaceIndexError, match=r"delete search\.faiss"):
        answers(PlaceIndex.open(made.folder, grid()))
    (made.folder / "search.faiss").unlink()
    assert answers(PlaceIndex.open(made.folder, grid())) == want


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"kind": "x", "recall": 0.5, "memory": None}, {"kind": "auto", "recall": 1, "memory": 0}]
)
def test_a_manifest_with_another_search_is_refused(made, value):
    with pytest.raises(ValueError):
        SearchOptions.from_dict(value)


def test_few_vectors_are_searched_exactly_and_many_are_not():
    assert [SearchOptions().compresses(n, 512) for n in (0, 200_000, 200_001)] == [False, False, True]
    assert SearchOptions("exact").compresses(10**9, 512) is False
    assert SearchOptions("compressed").compresses(1, 512) is True
    assert SearchOptions(memory=10**6).compresses(5000, 512) is True


@pytest.mark.parametrize(("text", "size"), [("2GB", 2e9), ("500 mb", 5e8), ("1.5GiB", 1.5 * 2**30), ("1000", 1000)])
def test_memory_is_read(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "2 parsec", "-1GB", "0", "nan", "1e400", "inf"])
def test_no_amount_of_memory_is_refused(text):
    with pytest.raises(NetvladError):
        parse_memory(text)
