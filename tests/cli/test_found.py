from __future__ import annotations

import shutil

import pytest

from netvlad.places.io.exif import read_exif


@pytest.fixture
def photo(town, tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_STATE", str(tmp_path / "state"))
    (tmp_path / "mine").mkdir()
    return shutil.copy(town / "3.jpg", tmp_path / "mine" / "a.jpg")


def test_sidecars_photos_and_files_and_back(netvlad, refused, index, photo):
    folder = photo.parent
    before = photo.read_bytes()
    asked = ("locate", folder, "--index", index, "--xmp", "--write-exif", "--out", folder / "found.gpx")
    told = netvlad(*asked)
    assert (told.code, "0 sidecars, 1 too unsure" in told.err) == (0, True)  # nothing is known of how sure it is
    assert [file.name for file in folder.iterdir() if file != photo] == ["found.gpx"]
    assert netvlad("locate", "--undo").code == 0
    assert netvlad(*asked, "--min-confidence", "0", "--dry-run").code == 0
    assert list(folder.iterdir()) == [photo]
    assert netvlad(*asked, "--min-confidence", "0").code == 0
    assert {file.name for file in folder.iterdir()} == {"a.jpg", "a.jpg.xmp", "a.jpg_original", "found.gpx"}
    assert read_exif(str(photo)).lat == pytest.approx(31.2603)
    assert "took back 3 files" in netvlad("locate", "--undo").err
    assert {file: file.read_bytes() for file in folder.iterdir()} == {photo: before}
    assert "no journal" in refused("locate", "--undo")


def test_a_sidecar_that_cannot_be_written_is_a_failure(netvlad, index, photo):
    photo.with_name("a.jpg.xmp").mkdir()
    ran = netvlad("locate", photo, "--index", index, "--xmp", "--min-confidence", "0")
    assert (ran.code, "1 sidecar could not be written" in ran.err) == (1, True)


def test_wrong_use(netvlad, refused, index, photo):
    assert netvlad("locate", "--index", index).code == 2
    assert netvlad("locate", photo, "--index", index, "--min-confidence", "0.5").code == 2
    assert "--undo" in refused("locate", photo, "--undo")
