"""Photos that hang, eat memory or run programs, each named at once; and the neighbours that they must not touch."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import time

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError
from netvlad.images import decode, opening, read_image
from netvlad.images.decode import decode_photos
from netvlad.places.io.exif import read_exif

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and sockets in folders are POSIX's")


def jpeg(size=(64, 64), **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", **options)
    return data.getvalue()


def many_scans(count: int, image: Image.Image | None = None) -> bytes:
    """A progressive JPEG whose last scan is there `count` times."""
    data = jpeg(progressive=True)
    if image is not None:
        image.save(opened := io.BytesIO(), "JPEG", progressive=True)
        data = opened.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def many_segments(count: int, content: bytes = b"Exif\0\0" + bytes(50)) -> bytes:
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    data = jpeg()
    return data[:2] + segment * count + data[2:]


def huge_webp(kind: str) -> bytes:
    """The head of a WebP of 16,383 x 16,383 pixels."""
    side = 16_382
    body = {
        "VP8X": bytes(4) + side.to_bytes(3, "little") * 2,
        "VP8L": b"\x2f" + (side | side << 14).to_bytes(4, "little") + bytes(5),
        "VP8 ": b"\x00\x00\x00\x9d\x01\x2a" + (side + 1).to_bytes(2, "little") * 2,
    }[kind]
    return b"RIFF" + struct.pack("<I", 22) + b"WEBP" + kind.encode() + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (many_scans(200), "scans, the limit is 100"),
        (many_segments(40), "more than 16 EXIF blocks"),
        (many_segments(1001, b"http"), "more than 1000 segments"),
        (huge_webp("VP8X"), "16383x16383 is 268 million pixels"),
        (huge_webp("VP8L"), "16383x16383 is 268 million pixels"),
        (huge_webp("VP8 "), "16383x16383 is 268 million pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image in a format"),
        (b"P3 2 2 255 " + b"9 " * 12, "not an image in a format"),
    ],
    ids=["scans", "EXIF", "segments", "VP8X", "VP8L", "VP8", "PostScript", "plain PPM"],
)
def test_what_would_take_too_long_is_refused(tmp_path, data, reason):
    file = tmp_path / "a.jpg"
    file.write_bytes(data)
    start = time.process_time()
    for source in (file, data):
        with pytest.raises(ImageError, match=reason):
            read_image(source)
    assert read_exif(str(file)).trouble
    assert time.process_time() - start < 5


@pytest.mark.parametrize("data", [many_scans(20), many_segments(10), many_segments(300, b"http")])
def test_what_cameras_write_is_read(data):
    assert read_image(data).shape == (64, 64, 3)


def test_a_format_that_is_asked_for(monkeypatch):
    data = b"P3 2 2 255 " + b"9 " * 12
    monkeypatch.setenv(opening.MORE, "ppm")
    opening.formats.cache_clear()
    assert read_image(data).tolist() == [[[9, 9, 9]] * 2] * 2
    monkeypatch.setenv(opening.MORE, "none-such")
    opening.formats.cache_clear()
    with pytest.raises(ImageError, match="NONE-SUCH"):
        read_image(data)
    opening.formats.cache_clear()


@posix
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "too large"])
def test_what_is_no_regular_file_never_hangs(tmp_path, kind):
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(jpeg())
    opened = None
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "socket":
        opened = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket is short
        opened.bind("bad.jpg")
        os.chdir(here)
    elif kind == "device":
        bad.symlink_to("/dev/zero")
    elif kind == "folder":
        bad.mkdir()
    else:
        with open(bad, "wb") as file:
            file.write(jpeg())
            file.truncate(6 << 30)
    with pytest.raises(ImageError, match="folder" if kind == "folder" else "limit" if kind == "too large" else "pipe"):
        read_image(bad)
    assert read_exif(str(bad)).trouble
    for workers in (0, 1):
        (chunk,) = decode_photos([str(good), str(bad)], workers=workers)
        assert chunk[0].image is not None
        assert chunk[1].image is None
        assert chunk[1].reason
    if opened:
        opened.close()


@posix
def test_a_worker_is_replaced_when_a_photo_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "SECONDS", 2.0)
    paths = [tmp_path / f"{i}.jpg" for i in range(4)]
    for path in paths:
        path.write_bytes(jpeg())
    paths[1].write_bytes(many_scans(90, Image.new("RGB", (12_000, 8_000))))
    (chunk,) = decode_photos([str(path) for path in paths], workers=1)
    assert [photo.row for photo in chunk if photo.image is None] == [1]
    assert "2 s" in chunk[1].reason
