from __future__ import annotations

import shutil

import pytest

MODEL = "test_resnet-max"


@pytest.fixture
def folder(town, tmp_path):
    """Two photos with a position in their name, and two that state none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(("@600000@3450000@36@R@.jpg", "@600100@3450000@36@R@.jpg", "a.jpg", "b.jpg")):
        shutil.copy(town / f"{i}.jpg", folder / name)
    return folder


def test_photos_without_a_place_are_indexed_when_asked_for(netvlad, folder, tmp_path):
    out = tmp_path / "a.vpr"
    assert "2 photos added" in netvlad("index", folder, "--out", out, "--model", MODEL).err
    ran = netvlad("index", folder, "--out", out, "--unplaced")
    assert f"2 photos have no place:\n  {folder / 'a.jpg'}" in ran.err
    assert "2 photos added, 2 were in it already, 4 in all" in ran.err
    assert "0 photos added, 4 were in it already" in netvlad("index", folder, "--out", out, "--unplaced").err
    ran = netvlad("locate", folder / "a.jpg", folder / "@600000@3450000@36@R@.jpg", "--index", out, "--top", 1)
    assert "at no known place" in ran.out
    assert "within 25 m" in ran.out


def test_a_folder_of_nothing_else(netvlad, folder, tmp_path):
    for photo in folder.glob("@*"):
        photo.unlink()
    ran = netvlad("index", folder, "--out", tmp_path / "a.vpr", "--model", MODEL, "--unplaced")
    assert ran.code == 0
    assert "2 photos added" in ran.err
    assert '"lat": null' in netvlad("info", tmp_path / "a.vpr").out


def test_what_is_no_folder_of_photos(refused, folder, tmp_path):
    (tmp_path / "t.csv").write_text("path,lat,lon\n")
    (tmp_path / "empty").mkdir()
    for source, words in ((tmp_path / "t.csv", "takes a folder"), (tmp_path / "empty", "holds no photos")):
        assert words in refused("index", source, "--out", tmp_path / "a.vpr", "--model", MODEL, "--unplaced")
