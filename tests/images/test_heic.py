"""HEIC of phones, and AVIF: read like any other photo, refused like any other bad one."""

from __future__ import annotations

import struct
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError
from netvlad.images import opening, read_image
from netvlad.images.decode import decode_photos
from netvlad.places import read_places

pytest.importorskip("pillow_heif", reason="without pillow-heif no HEIC is read")
KINDS = pytest.mark.parametrize("suffix", ["heic", "avif"])


@pytest.fixture
def phone(tmp_path):
    """Writes a photo of 96 x 64 pixels, red above and blue below, that is stored lying on its side."""

    def write(suffix: str) -> str:
        opening.formats()  # registers HEIC
        stored = np.zeros((64, 96, 3), np.uint8)
        stored[:, :48, 0] = stored[:, 48:, 2] = 250
        exif = Image.Exif()
        exif[0x0112] = 6  # upright after a quarter turn: what is stored on the left is above
        exif[0x8825] = {1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 3.0), 17: 90.5}
        exif[0x8769] = {0x9003: "2024:03:12 14:05:00", 0x9011: "+01:00"}
        path = str(tmp_path / f"a.{suffix}")
        Image.fromarray(stored).save(path, quality=90, exif=exif.tobytes())
        return path

    return write


@KINDS
def test_upright_with_place_heading_and_time(phone, suffix):
    path = phone(suffix)
    image = read_image(path)
    assert image.shape == (96, 64, 3)
    assert image[10, 32, 0] > 200 > 50 > image[10, 32, 2]
    assert image[86, 32, 2] > 200 > 50 > image[86, 32, 0]
    places = read_places(path)
    assert (places.lat[0], places.lon[0]) == pytest.approx((48.856667, 2.350833), abs=1e-5)
    assert places.heading[0] == pytest.approx(90.5)
    assert (places.time[0].item(), places.is_utc[0]) == (datetime(2024, 3, 12, 13, 5), True)


@KINDS
def test_scaled_down_it_is_the_photo_and_no_thumbnail_in_it(phone, suffix):
    path = phone(suffix)
    whole = np.asarray(Image.fromarray(read_image(path)).resize((32, 48), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(read_image(path, resize=48), whole)


def test_a_thumbnail_in_a_heic_is_not_taken_for_the_photo(tmp_path):
    opening.formats()
    noise = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    path = tmp_path / "a.heic"
    Image.fromarray(noise).save(path, thumbnails=[64])
    whole = np.asarray(Image.fromarray(read_image(path)).resize((24, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(read_image(path, resize=32), whole)


@KINDS
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_cut_off_it_is_named_and_its_neighbour_described(phone, tmp_path, suffix, share):
    good = phone(suffix)
    bad = tmp_path / f"b.{suffix}"
    with open(good, "rb") as file:
        data = file.read()
    bad.write_bytes(data[: int(share * len(data))])
    ((first, second),) = decode_photos([good, str(bad)], workers=0)
    assert first.image is not None
    assert second.image is None
    assert second.reason


@KINDS
def test_the_limit_of_pixels_is_that_of_the_head(phone, suffix):
    with open(phone(suffix), "rb") as file:
        data = file.read()
    at = data.index(b"ispe") + 8
    assert struct.unpack(">II", data[at : at + 8]) == (96, 64)
    with pytest.raises(ImageError, match=r"20000x1000|1000x20000"):  # libheif alone would allocate for it
        read_image(data[:at] + struct.pack(">II", 20000, 1000) + data[at + 8 :], max_pixels=10**7)
    with pytest.raises(ImageError, match="the limit is 0 million"):
        read_image(data, max_pixels=100)


def test_without_the_library_the_remedy_is_told(phone, monkeypatch):
    path = phone("heic")
    monkeypatch.delitem(Image.OPEN, "HEIF")
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    opening.formats.cache_clear()
    try:
        with pytest.raises(ImageError, match=r"netvlad\[heif\]"):
            read_image(path)
        with pytest.raises(Exception, match=r"netvlad\[heif\]"):
            read_places(path)
    finally:
        opening.formats.cache_clear()
