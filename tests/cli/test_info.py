from __future__ import annotations

import json
import shutil

import pytest

from netvlad.maps.index import PlaceIndex


def test_info_of_an_index(netvlad, town, index):
    ran = netvlad("info", index)
    assert (ran.code, ran.err) == (0, "")
    facts = json.loads(ran.out)
    opened = PlaceIndex.open(index)
    disk = sum(f.stat().st_size for f in index.rglob("*") if f.is_file())
    assert (facts.pop("bytes"), facts.pop("bytes_a_photo")) == (disk, {"memory": 384, "disk": round(disk / 8)})
    assert (facts.pop("version"), facts.pop("search")["kind"]) == (opened.store.version, "exact")
    assert facts.pop("map") == opened.store.map_id
    assert facts.pop("root_from_map") == "../../town0"
    assert facts == {
        "index": str(index),
        "root": str(town),
        "format": 1,
        "radius": 25.0,
        "model": {"name": "test_resnet-max", "identity": opened.model.identity, "dim": 192},
        "photos": 8,
        "located": 8,
        "lat": [31.26, 31.2607],
        "lon": [34.8, 34.8],
        "easting": [opened.places.easting.min(), opened.places.easting.max()],
        "northing": [opened.places.northing.min(), opened.places.northing.max()],
        "time": ["2025-12-22T10:00:00", "2025-12-22T10:00:07"],
        "confidence": "8 photos are too few to learn from (at least 20)",
    }


def test_info_of_an_empty_index(netvlad, tmp_path, weights):
    import netvlad as package

    PlaceIndex.create(tmp_path / "a.vpr", package.load("test_resnet-max"))
    facts = json.loads(netvlad("info", tmp_path / "a.vpr").out)
    assert (facts["photos"], facts["lat"], facts["time"], facts["confidence"]) == (0, None, None, "no photos yet")


def test_info_of_a_planar_index(netvlad, town, tmp_path):
    (tmp_path / "t.csv").write_text(f"path,easting,northing\n{town / '0.jpg'},1,2\n{town / '1.jpg'},3,2\n")
    netvlad("index", tmp_path / "t.csv", "--out", tmp_path / "a.vpr", "--model", "test_resnet-max")
    facts = json.loads(netvlad("info", tmp_path / "a.vpr").out)
    assert (facts["lat"], facts["easting"], facts["northing"], facts["time"]) == (None, [1.0, 3.0], [2.0, 2.0], None)


@pytest.mark.parametrize("name", ["", "none"])
def test_info_of_something_else(refused, tmp_path, name):
    path = tmp_path / name
    assert refused("info", path) == f"{path}: is neither an index (no manifest.json) nor a model (no card.json)"


def test_info_of_a_broken_card(refused, tmp_path):
    (tmp_path / "card.json").write_text("{")
    assert "card.json: is not a model card" in refused("info", tmp_path)


@pytest.mark.parametrize("text", ["[1]", "3", "[" * 100_000, "{"])
def test_a_card_of_another_shape(refused, tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    assert "is not a model card" in refused("info", tmp_path)


def test_versions_are_listed_and_brought_back(netvlad, refused, town, index, tmp_path):
    out = shutil.copytree(index, tmp_path / "a.vpr")
    opened = PlaceIndex.open(out)
    paths, first = opened.places.path.tolist(), opened.store.version
    opened.remove(paths[:5])
    listed = json.loads(netvlad("info", out, "--versions").out)
    assert {entry["version"]: entry["photos"] for entry in listed}[first] == 8
    assert listed[-1]["photos"] == 3
    assert [entry["current"] for entry in listed] == [*[False] * (len(listed) - 1), True]
    ran = netvlad("restore", out, first)
    assert ran.code == 0
    assert f"8 photos, as in version {first}" in ran.err
    assert PlaceIndex.open(out).places.path.tolist() == paths
    ran = netvlad("locate", paths[0], "--index", out, "--top", 1)
    assert (ran.code, ran.err) == (0, "")
    assert paths[0] in ran.out
    assert "has no version 999; there are " in refused("restore", out, 999)
    assert netvlad("restore", out, listed[-1]["version"]).code == 0
    assert len(PlaceIndex.open(out)) == 3
