"""Latitudes and longitudes as exiftool, spreadsheets and people write them."""

from __future__ import annotations

import math

import pytest

from netvlad.places import read_places
from netvlad.places.io.angles import angles

PARIS = 48 + 51 / 60 + 24 / 3600


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("48 deg 51' 24.00\" N", PARIS),
        ("48 deg 51' 24.00\" S", -PARIS),
        ("48°51'24\"N", PARIS),
        ("48° 51′ 24″ n", PARIS),
        ("N 48° 51' 24,00''", PARIS),
        ("S48 51 24", -PARIS),
        ("48 deg 51.4' N", PARIS),
        ("-48° 51' 24\"", -PARIS),
        ("−48,8566667", -48.8566667),
        ("+48° 51.4", PARIS),
        ("48.8566667° S", -48.8566667),
        ("48,8566667", 48.8566667),
        ("N48.5", 48.5),
        ("48°", 48.0),
    ],
)
def test_read(text, degrees):
    values, bad = angles([text], None, "lat")
    assert values[0] == pytest.approx(degrees, abs=1e-7)
    assert not bad


@pytest.mark.parametrize(
    "text",
    [
        "48 deg 51' 24.00\"",  # exiftool's own field of EXIF: north or south?
        "48 51 24",
        "48° 51' E",
        "-48° 51' S",
        "48° 61' N",
        "48° 51' 60\" N",
        "48.5° 51' N",
        "N 48° S",
        "485124",
        "48,856,7",
        "north",
        "4" * 100 + "°",
    ],
)
def test_left_out_with_a_reason(text):
    values, bad = angles(["31", text], None, "lat")
    assert values[0] == 31
    assert text == "485124" or (math.isnan(values[1]) and 1 in bad)  # that is a number, and no latitude


def test_the_hemisphere_in_a_column_of_its_own():
    column = ["48 deg 51' 24.00\"", "48 deg 51' 24.00\" S", "33.5", "-33.5", "-33.5", "33.5", "33.5"]
    refs = ["South", "South", "S", "S", "N", "", "E"]
    values, bad = angles(column, refs, "lat")
    assert values[:4] == pytest.approx([-PARIS, -PARIS, -33.5, -33.5])
    assert values[5] == 33.5
    assert sorted(bad) == [4, 6]


def test_a_table_of_exiftool(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        "SourceFile,GPSLatitude,GPSLongitude,GPSImgDirection,DateTimeOriginal\n"
        './a.jpg,"48 deg 51\' 24.00"" N","2 deg 21\' 3.00"" W",90.5,2024:03:12 14:05:00\n'
    )
    places = read_places(table, strict=True)
    assert (places.lat[0], places.lon[0]) == pytest.approx((PARIS, -(2 + 21 / 60 + 3 / 3600)), abs=1e-9)
    assert (places.heading[0], str(places.time[0])) == (90.5, "2024-03-12T14:05:00")
    assert places.path[0] == str(tmp_path / "a.jpg")
