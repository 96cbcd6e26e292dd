from __future__ import annotations

import os
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import PlacesError
from netvlad.places import Places, read_places, write_places

CSV = "path,lat,lon\na.jpg,31.26,34.8\n"
NAME = "@543256.96@4178906.70@10@S@37.7564@-122.5089@p7@@90@@@@201311@@.jpg"


def bare(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6)).save(path)
    return path


@pytest.mark.parametrize("name", ["places.csv", "places.parquet", "places.geojson"])
def test_a_folder_is_its_table(tmp_path, name, same):
    places = Places.build(path=[tmp_path / "a.jpg"], lat=31.26, lon=34.8)
    write_places(places, tmp_path / name)
    bare(tmp_path / "b.jpg")
    same(read_places(tmp_path), places)
    same(read_places(str(tmp_path)), places)


def test_a_folder_with_two_tables(tmp_path):
    for name in ("places.csv", "places.parquet"):
        write_places(Places.build(path=[tmp_path / "a.jpg"], lat=31.26, lon=34.8), tmp_path / name)
    with pytest.raises(PlacesError, match=r"places\.csv and places\.parquet"):
        read_places(tmp_path)


def test_a_folder_of_photos(photo, campus_gps, tmp_path):
    photo(
        tmp_path / "b" / "2.JPG",
        {**campus_gps, 17: (90, 1)},
        {0x9003: "2025:12:22 12:00:00", 0x9011: "+02:00"},
    )
    photo(tmp_path / "a.png", {**campus_gps, 1: "S"})
    bare(tmp_path / "c" / NAME)
    bare(tmp_path / "d.jpg")
    bare(tmp_path / "@543256.96@4178906.70@11@S@37.7564@-122.5089@.jpg")  # lies in zone 10
    photo(tmp_path / "null.jpg", {1: "N", 2: [(0, 1)] * 3, 3: "E", 4: [(0, 1)] * 3})
    photo(tmp_path / ".hidden.jpg", campus_gps)
    photo(tmp_path / ".thumbs" / "a.jpg", campus_gps)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "e.jpeg").write_text("x")
    places = read_places(tmp_path)
    assert [os.path.relpath(p, tmp_path) for p in places.path] == ["a.png", "b/2.JPG", f"c/{NAME}"]
    assert places.geodetic
    np.testing.assert_allclose(places.lat, [-31.26196667, 31.26196667, 37.75645], atol=1e-6)
    np.testing.assert_array_equal(places.heading, np.float32([np.nan, 90, 90]))
    assert places.time.tolist() == [None, datetime(2025, 12, 22, 10), datetime(2013, 11, 1, 12)]
    assert places.is_utc.tolist() == [False, True, False]
    assert places.panorama.tolist() == ["", "", "p7"]
    assert places.easting[2] == 543256.96
    reasons = {os.path.basename(s.source): s.reason for s in places.skipped}
    assert sorted(reasons)[1:] == ["d.jpg", "e.jpeg", "null.jpg"]
    assert "m apart" in reasons[min(reasons)]
    assert reasons["d.jpg"] == "no EXIF GPS"
    assert "not readable" in reasons["e.jpeg"]
    assert "(0, 0)" in reasons["null.jpg"]
    with pytest.raises(PlacesError, match=r"4 of 7 photos cannot be used: .*d\.jpg: no EXIF GPS"):
        read_places(tmp_path, strict=True)


def test_names_without_a_zone_are_planar_until_another_photo_has_degrees(photo, campus_gps, tmp_path):
    bare(tmp_path / "@3@4@.jpg")
    bare(tmp_path / "@0@0@.jpg")
    assert read_places(tmp_path).xyz.tolist() == [[0, 0, 0], [3, 4, 0]]
    photo(tmp_path / "a.jpg", campus_gps)
    places = read_places(tmp_path)
    assert len(places) == 1
    assert [s.reason[:37] for s in places.skipped] == ["easting and northing without a UTM zo"] * 2


def test_an_empty_folder(tmp_path):
    with pytest.raises(PlacesError, match=r"holds no photos and no places\.csv, places\.parquet, places\.geojson$"):
        read_places(tmp_path)
    (tmp_path / "east.csv").write_text(CSV)
    with pytest.raises(PlacesError, match=r"but east\.csv: give the path of that table"):
        read_places(tmp_path)


def test_a_folder_of_photos_that_tell_nothing(tmp_path):
    for i in range(3):
        bare(tmp_path / f"{i}.jpg")
    wanted = r"3 photos .* 0 names of the form @easting@northing@, 3 x no EXIF GPS, no places\.csv"
    with pytest.raises(PlacesError, match=wanted):
        read_places(tmp_path)


def test_one_photo_and_several(photo, campus_gps, tmp_path):
    one = photo(tmp_path / "a.jpg", campus_gps)
    assert read_places(one).path.tolist() == [str(one)]
    assert read_places(str(one)).lat[0] == pytest.approx(31.26196667)
    places = read_places([tmp_path / "nowhere.jpg", str(one), one])
    assert places.path.tolist() == [str(one)] * 2
    assert places.skipped[0].reason == "no such file"
    with pytest.raises(PlacesError, match=r"b\.jpg: 1 photo and no usable position"):
        read_places(bare(tmp_path / "b.jpg"))
    with pytest.raises(PlacesError, match="list of photos is empty"):
        read_places([])


def test_relative_sources_are_taken_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    assert read_places("t.csv").path.tolist() == [str(tmp_path / "a.jpg")]


def test_what_is_none_of_these(tmp_path):
    with pytest.raises(PlacesError, match="does not exist"):
        read_places(tmp_path / "nowhere.csv")
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(PlacesError, match=r"neither a folder nor a table \(\.csv .*nor a photo \(\.jpg"):
        read_places(tmp_path / "t.xlsx")
