from __future__ import annotations

import io
import zipfile

import pytest

from netvlad.errors import PlacesError
from netvlad.places.io.queries import read_queries


def test_every_kind_of_source_in_order(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("below/b.jpg", "below/a.jpg", "c.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text("image;city\nx/ä 1.jpg;Ulm\n;none\n/abs/y.jpg;Ulm\n", encoding="utf-8")
    listed = io.StringIO("one.jpg\r\n\ntwo, 2.jpg\n")
    paths, closed = read_queries([tmp_path / "c.jpg", "-", tmp_path / "t.csv", tmp_path / "below"], listed)
    assert closed == {}
    assert paths == [
        str(tmp_path / "c.jpg"),
        "one.jpg",
        "two, 2.jpg",
        str(tmp_path / "x/ä 1.jpg"),
        "/abs/y.jpg",
        str(tmp_path / "below/a.jpg"),
        str(tmp_path / "below/b.jpg"),
    ]


def test_sources_without_photos(tmp_path):
    (tmp_path / "t.csv").write_text("city\nUlm\n")
    (tmp_path / "empty").mkdir()
    for source in ("t.csv", "empty", "none.csv"):
        with pytest.raises(PlacesError):
            read_queries([tmp_path / source])
    assert read_queries(["-"], io.StringIO("")) == ([], {})


def test_photos_of_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for name in ("walk/b.JPG", "a.png", "notes.txt"):
            made.writestr(name, b"x")
    zipfile.ZipFile(tmp_path / "none.zip", "w").close()
    assert read_queries([tmp_path / "a.zip"]) == ([f"{tmp_path}/a.zip/a.png", f"{tmp_path}/a.zip/walk/b.JPG"], {})
    for source in (tmp_path / "none.zip", tmp_path / "missing.tar", "s3://bucket/photos.tar"):
        with pytest.raises(PlacesError):
            read_queries([source])
