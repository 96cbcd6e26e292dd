from __future__ import annotations

import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError
from netvlad.images.archives import list_archive, read_member, split_archive
from netvlad.images.decode import decode_photos
from netvlad.images.opening import open_image, read_file
from netvlad.images.read import read_image

NAMES = ("b.jpg", "walk/a ü.jpg", "walk/.hidden.jpg", "readme.txt")


def photo(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 10, 200)).save(file, "PNG")
    return file.getvalue()


def content(name: str) -> bytes:
    return photo(NAMES.index(name)) if name.endswith(".jpg") else b"read me"


@pytest.fixture(params=["tar", "zip"])
def archive(request, tmp_path):
    file = tmp_path / f"Photos.{request.param.upper()}"
    if request.param == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.mkdir("walk") if hasattr(made, "mkdir") else made.writestr("walk/", b"")
            for name in NAMES:
                made.writestr(name, content(name))
        return str(file)
    with tarfile.open(file, "w") as made:
        for name in NAMES:
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content(name))
            made.addfile(info, io.BytesIO(content(name)))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    return str(file)


def test_photos_are_read_where_they_are(archive):
    assert list_archive(archive) == ["b.jpg", "readme.txt", "walk/a ü.jpg"]
    for name in NAMES:
        assert split_archive(f"{archive}/{name}") == (archive, name)
        assert read_file(f"{archive}/{name}") == content(name)
    assert (read_image(f"{archive}/walk/a ü.jpg") == np.uint8([1, 10, 200])).all()
    assert open_image(f"{archive}/b.jpg", whole=False).size == (40, 30)


def test_workers_decode_them(archive):
    paths = [f"{archive}/{name}" for name in ("walk/a ü.jpg", "none.jpg", "readme.txt", "b.jpg")]
    ((first, none, text, last),) = decode_photos(paths, workers=1)
    assert (first.image[0, 0, 0], last.image[0, 0, 0]) == (1, 0)
    assert none.image is None
    assert none.digest == b""
    assert "archive" in none.reason
    assert text.image is None
    assert text.digest


def test_an_archive_that_changes_is_read_anew(archive):
    assert read_member(archive, "b.jpg", 1 << 20) == content("b.jpg")
    with zipfile.ZipFile(archive + ".zip", "w") as made:
        made.writestr("b.jpg", b"first")
    assert read_member(archive + ".zip", "b.jpg", 100) == b"first"
    with zipfile.ZipFile(archive + ".zip", "w") as made:
        made.writestr("b.jpg", b"the second")
    assert read_member(archive + ".zip", "b.jpg", 100) == b"the second"


def test_a_folder_may_be_called_like_an_archive(tmp_path):
    folder = tmp_path / "old.tar"
    folder.mkdir()
    with zipfile.ZipFile(folder / "in.zip", "w") as made:
        made.writestr("x/a.jpg", photo(3))
    assert split_archive(folder / "b.jpg") is None
    assert split_archive(folder / "in.zip" / "x" / "a.jpg") == (str(folder / "in.zip"), "x/a.jpg")
    assert split_archive(folder / "in.zip") is None


def test_what_cannot_be_read_is_told(tmp_path, archive):
    with pytest.raises(ImageError, match="limit"):
        read_member(archive, "b.jpg", 10)
    whole = (tmp_path / archive).read_bytes()
    for name, data in (("cut.tar", b"x" * 2000), ("cut.zip", whole[:200]), ("packed.tar", b"\x1f\x8b" + whole)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError):
            list_archive(tmp_path / name)
    with pytest.raises(ImageError):
        list_archive(tmp_path / "none.tar")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names on this system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    for archive in (tmp_path / "a.tar", tmp_path):
        with pytest.raises(ImageError):
            list_archive(archive)


def test_a_damaged_member_does_not_pass(tmp_path):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.jpg", photo(1) * 50)
    data = bytearray(file.read_bytes())
    data[60:80] = bytes(20)
    file.write_bytes(data)
    with pytest.raises(ImageError, match="archive"):
        read_member(str(file), "a.jpg", 1 << 20)
    tar = tmp_path / "a.tar"
    with tarfile.open(tar, "w") as made:
        info = tarfile.TarInfo("a.jpg")
        info.size = 5000
        made.addfile(info, io.BytesIO(bytes(5000)))
    assert list_archive(tar) == ["a.jpg"]
    with open(tar, "r+b") as cut:
        cut.truncate(1024)
    with pytest.raises(ImageError):
        read_member(str(tar), "a.jpg", 1 << 20)
