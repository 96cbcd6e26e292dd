from __future__ import annotations

import math
from datetime import datetime

import pytest
from PIL import Image

from netvlad.places.io import exif
from netvlad.places.io.exif import read_exif

NOON = datetime(2025, 12, 22, 12, 0, 0)
TAKEN = {0x9003: "2025:12:22 12:00:00"}


def test_position_heading_and_time(photo, campus_gps, tmp_path):
    shot = read_exif(photo(tmp_path / "a.jpg", {**campus_gps, 16: "M", 17: (27025, 100)}, TAKEN))
    assert shot.lat == pytest.approx(31 + 15 / 60 + 43.08 / 3600, abs=1e-9)
    assert shot.lon == pytest.approx(34 + 48 / 60 + 4.26 / 3600, abs=1e-9)
    assert shot.heading == pytest.approx(270.25)
    assert (shot.time, shot.is_utc, shot.trouble) == (NOON, False, "")


@pytest.mark.parametrize(
    ("ns", "ew", "lat", "lon"),
    [("S", "W", -1, -1), ("S", "E", -1, 1), ("n", "w", 1, -1), ("N\0", "E\0", 1, 1)],
)
def test_hemispheres(photo, campus_gps, tmp_path, ns, ew, lat, lon):
    shot = read_exif(photo(tmp_path / "a.jpg", {**campus_gps, 1: ns, 3: ew}))
    assert (math.copysign(1, shot.lat), math.copysign(1, shot.lon)) == (lat, lon)


@pytest.mark.parametrize(
    ("parts", "degrees"),
    [
        ([(31, 1), (157180, 10000), (0, 0)], 31 + 15.718 / 60),  # no seconds, the minutes have said it all
        ([(31261966, 1000000), (0, 0), (0, 0)], 31.261966),
        ([(31, 1), (15, 1), (0, 0)], None),  # up to 1.8 km off
        ([(31, 1), (0, 0), (43, 1)], None),
        ([(0, 0), (15, 1), (43, 1)], None),
        ([(5, 0), (5, 0), (5, 0)], None),
    ],
)
def test_denominators_of_zero(photo, campus_gps, tmp_path, parts, degrees):
    shot = read_exif(photo(tmp_path / "a.jpg", {**campus_gps, 2: parts}))
    if degrees is None:
        assert math.isnan(shot.lat)
        assert "broken" in shot.trouble
    else:
        assert shot.lat == pytest.approx(degrees, abs=1e-9)


def test_a_broken_heading_is_unknown(photo, campus_gps, tmp_path):
    assert math.isnan(read_exif(photo(tmp_path / "a.jpg", {**campus_gps, 17: (1, 0)})).heading)


@pytest.mark.parametrize("ref", [1, 3])
def test_without_its_letter_a_position_is_in_no_hemisphere(photo, campus_gps, tmp_path, ref):
    shot = read_exif(photo(tmp_path / "a.jpg", {tag: v for tag, v in campus_gps.items() if tag != ref}))
    assert math.isnan(shot.lat)
    assert "hemisphere" in shot.trouble


@pytest.mark.parametrize(
    ("more", "gps", "when", "utc"),
    [
        ({**TAKEN, 0x9011: "+02:00"}, {}, NOON.replace(hour=10), True),
        ({**TAKEN, 0x9011: "-05:30"}, {}, NOON.replace(hour=17, minute=30), True),
        ({**TAKEN, 0x9011: "   :  "}, {}, NOON, False),
        (TAKEN, {29: "2025:12:22", 7: [(10, 1), (0, 1), (5999, 1000)]}, NOON, False),
        ({}, {29: "2025:12:22", 7: [(10, 1), (0, 1), (5999, 1000)]}, NOON.replace(hour=10, second=5), True),
        (
            {0x9003: "0000:00:00 00:00:00"},
            {29: "2025:12:22", 7: [(10, 1), (0, 1), (0, 1)]},
            NOON.replace(hour=10),
            True,
        ),
        ({}, {29: "2025:12:22", 7: [(10, 1), (0, 0), (0, 1)]}, None, False),
        ({}, {7: [(10, 1), (0, 1), (0, 1)]}, None, False),
        ({0x9003: "    :  :     :  :  "}, {}, None, False),
        ({0x9003: "whenever"}, {}, None, False),
    ],
)
def test_which_clock(photo, campus_gps, tmp_path, more, gps, when, utc):
    shot = read_exif(photo(tmp_path / "a.jpg", {**campus_gps, **gps}, more))
    assert (shot.time, shot.is_utc) == (when, utc)
    assert math.isfinite(shot.lat)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_formats_with_and_without_exif(photo, campus_gps, tmp_path, suffix):
    assert read_exif(photo(tmp_path / f"a{suffix}", campus_gps)).lat == pytest.approx(31.26196667)
    Image.new("RGB", (8, 6)).save(tmp_path / f"b{suffix}")
    assert read_exif(tmp_path / f"b{suffix}").trouble == "no EXIF GPS"


def test_files_that_are_no_photos(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not a photo")
    assert "not readable as a photo" in read_exif(tmp_path / "a.jpg").trouble
    assert read_exif(tmp_path / "b.jpg").trouble == "no such file"


def test_pixels_are_not_decoded(photo, campus_gps, tmp_path, monkeypatch):
    paths = [photo(tmp_path / name, campus_gps) for name in ("a.jpg", "a.png")]
    Image.new("RGB", (8, 6)).save(tmp_path / "bare.png")

    def refuse(self):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    assert [read_exif(path).trouble for path in paths] == ["", ""]
    assert read_exif(tmp_path / "bare.png").trouble == "no EXIF GPS"


def test_pairs_are_rationals_too():
    assert exif.number((1, 4)) == 0.25
    assert math.isnan(exif.number((1, 0)))
    assert math.isnan(exif.number("east"))
