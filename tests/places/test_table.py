from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places, Skipped, from_utm, to_utm


def test_degrees_give_utm_and_utm_gives_degrees():
    a = Places.build(path=["a.jpg", "b.jpg"], lat=[31.26, -33.86], lon=[34.8, 151.2])
    easting, northing, epsg = to_utm(a.lat, a.lon)
    np.testing.assert_array_equal([a.easting, a.northing, a.utm], [easting, northing, epsg])
    b = Places.build(path=a.path, easting=a.easting, northing=a.northing, utm=["36N", 32756])
    np.testing.assert_allclose([b.lat, b.lon], [a.lat, a.lon], atol=1e-9)
    assert a.geodetic
    assert b.geodetic
    assert b.utm.tolist() == [32636, 32756]


def test_what_is_given_twice_is_kept_when_it_agrees():
    lat, lon = from_utm(543256.96, 4178906.70, 32610)
    rounded = Places.build(
        path="a",
        lat=round(float(lat), 5),
        lon=round(float(lon), 5),
        easting=543256.96,
        northing=4178906.7,
        utm=32610,
    )
    assert rounded.easting[0] == 543256.96
    assert rounded.lat[0] == round(float(lat), 5)
    with pytest.raises(PlacesError, match="m apart"):
        Places.build(path="a", lat=lat + 0.01, lon=lon, easting=543256.96, northing=4178906.7, utm=32610)


def test_a_neighbouring_zone_that_was_chosen_on_purpose_stays():
    from pyproj import Transformer

    easting, northing = Transformer.from_crs(4326, 32631, always_xy=True).transform(6.1, 48.0)  # lies in zone 32
    places = Places.build(path="a", easting=easting, northing=northing, utm=32631)
    assert places.utm[0] == 32631
    np.testing.assert_allclose([places.lat[0], places.lon[0]], [48, 6.1])


def test_easting_and_northing_alone_are_planar():
    places = Places.build(path=["a", "b"], easting=[0, 3], northing=[0, 4])
    assert not places.geodetic
    assert np.isnan(places.lat).all()
    assert places.utm.tolist() == [0, 0]
    assert places.xyz.tolist() == [[0, 0, 0], [3, 4, 0]]


def test_xyz_is_earth_centred():
    places = Places.build(path=["a", "b", "c"], lat=[0, 90, 0], lon=[90, 0, -180])
    expected = [[0, 6378137, 0], [0, 0, 6356752.314245], [-6378137, 0, 0]]  # the axes of WGS 84
    np.testing.assert_allclose(places.xyz, expected, atol=1e-6)


def test_columns_have_their_types_and_cannot_be_written_to():
    lat = np.array([1.0])
    places = Places.build(path=["a"], lat=lat, lon=[2])
    kinds = {
        name: getattr(places, name).dtype.str[1:]
        for name in ("lat", "easting", "utm", "heading", "time", "path", "split", "place")
    }
    assert kinds == {
        "lat": "f8",
        "easting": "f8",
        "utm": "i4",
        "heading": "f4",
        "time": "M8[s]",
        "path": "O",
        "split": "O",
        "place": "O",
    }
    assert np.isnan(places.heading[0])
    assert np.isnat(places.time[0])
    assert (places.panorama[0], places.split[0], places.place[0]) == ("", "", "")
    assert places.path[0] == os.path.abspath("a")
    with pytest.raises(ValueError, match="read-only"):
        places.lat[0] = 5
    lat[0] = 3.0  # the caller's own array stays writable


def test_headings_are_brought_to_a_full_turn():
    places = Places.build(path=list("abcdef"), lat=1, lon=2, heading=[-90, 360, 359.99999999, 0, np.nan, -180])
    np.testing.assert_array_equal(places.heading, np.float32([270, 0, 0, 0, np.nan, 180]))


def test_both_clocks():
    east = timezone(timedelta(hours=2))
    given = [
        datetime(2025, 1, 1, 12, tzinfo=east),
        datetime(2025, 1, 1, 12),
        "2025-01-01T12:00:00-05:00",
        1735732800,
        date(2025, 1, 1),
        None,
    ]
    places = Places.build(path=list("abcdef"), lat=1, lon=2, time=given)
    hours = [10, 12, 17, 12, 12]
    assert places.time[:5].tolist() == [datetime(2025, 1, 1, h) for h in hours]
    assert places.is_utc.tolist() == [True, False, True, True, False, False]
    known = Places.build(path=["a", "b"], lat=1, lon=2, time=np.array(["2025-01-01T12", "NaT"], "M8[h]"), is_utc=True)
    assert known.is_utc.tolist() == [True, False]
    assert known.time.dtype == "M8[s]"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lat": [1, 91], "lon": 2}, "row 1: latitude 91.0 is outside -90..90"),
        ({"lat": 1, "lon": [2, -180.5]}, "row 1: longitude -180.5 is outside"),
        ({"lat": [1, np.nan], "lon": 2}, "row 1: only longitude given"),
        ({"lat": [1, 0], "lon": [2, 0]}, r"row 1: position \(0, 0\)"),
        ({"lat": [1, "x"], "lon": 2}, "row 1: lat 'x' is not a number"),
        ({"lat": [1, 2, 3], "lon": 2}, "lat has 3 rows, path has 2"),
        ({}, "2 of 2 rows .* row 0: no position"),
        (
            {"lat": [1, np.nan], "lon": [1, np.nan], "easting": 5, "northing": 6},
            "row 1: easting and northing without",
        ),
        ({"easting": 5e5, "northing": 3e6, "utm": [32636, 28992]}, "row 1: zone 28992"),
        (
            {"easting": [5e5, 4e6], "northing": [4e6, 5e5], "utm": 32636},
            "row 1: easting 4000000.0, .* not a point",
        ),
        ({"easting": [np.nan, 1], "northing": 3e6, "utm": 32636}, "row 0: only northing given"),
        ({"lat": 1, "lon": 2, "heading": [400, 3]}, "row 0: heading 400"),
        ({"lat": 1, "lon": 2, "time": ["yesterday", None]}, "row 0: time 'yesterday'"),
    ],
)
def test_build_says_which_row_is_wrong(columns, message):
    with pytest.raises(PlacesError, match=message):
        Places.build(path=["a", "b"], **columns)


def test_many_wrong_rows_are_counted():
    with pytest.raises(PlacesError, match=r"50 of 50 rows .*row 2: .*and 47 more"):
        Places.build(path=["a"] * 50, lat=95, lon=0)


def test_rows(geodetic, same):
    assert len(geodetic[1]) == 1
    assert geodetic[1].path[0] == geodetic.path[1]
    assert geodetic[-1].path[0] == geodetic.path[2]
    assert geodetic[np.int64(1)].split.tolist() == ["query"]
    same(geodetic[[0, 2]], geodetic[np.array([True, False, True])])
    same(geodetic[0:3:2], geodetic[np.array([0, 2])])
    same(geodetic[[]], geodetic[:0])
    same(geodetic[[2, 0, 1]][[1, 2, 0]], geodetic)
    assert [len(row) for row in geodetic] == [1, 1, 1]
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            geodetic[wrong]


def test_concat(geodetic, planar, same):
    same(Places.concat([geodetic[:1], geodetic[:0], geodetic[1:]]), geodetic)
    same(Places.concat([planar[:0], geodetic]), geodetic)
    assert len(Places.concat([])) == 0
    with pytest.raises(PlacesError, match="one table"):
        Places.concat([geodetic, planar])
    left_out = Skipped("t.csv", 3, "no position")
    noted = Places.build(path="a", lat=1, lon=2, skipped=[left_out])
    assert Places.concat([noted, geodetic]).skipped == (left_out,)
    assert str(left_out) == "t.csv, line 3: no position"
    assert noted[:1].skipped == ()


def test_an_empty_table_is_a_table():
    places = Places.build(path=[])
    assert len(places) == 0
    assert places.xyz.shape == (0, 3)
    assert "0 photos" in repr(places)


def test_heavy_libraries_wait_until_they_are_needed():
    code = "import sys, netvlad.places; print({'pyproj', 'scipy', 'pyarrow', 'PIL', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_a_row_may_have_a_label_alone():
    places = Places.build(path=list("abc"), lat=[1, np.nan, np.nan], lon=[2, np.nan, np.nan], place=["", "x", "x"])
    assert places.geodetic
    assert places.located.tolist() == [True, False, False]
    assert np.isfinite(places.xyz).all(axis=1).tolist() == [True, False, False]
    assert "1 by label alone" in repr(places[:2])
    assert "label" not in repr(places[:1])
    planar = Places.build(path=list("ab"), easting=[1, np.nan], northing=[2, np.nan], place=["", "x"])
    assert not planar.geodetic
    assert np.isnan(planar.xyz[1]).all()
    labels = Places.build(path=list("ab"), place="x")
    assert len(Places.concat([labels, places])) == len(Places.concat([planar, labels])) + 1 == 5
    with pytest.raises(PlacesError, match="cannot stand in one table"):
        Places.concat([labels, places, planar])
    with pytest.raises(PlacesError, match="2 of 3 rows are no places: row 0: no position; row 2: only latitude"):
        Places.build(path=list("abc"), lat=[np.nan, np.nan, 3], lon=np.nan, place=["", "x", "x"])
