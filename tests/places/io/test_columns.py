from __future__ import annotations

import os

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places.io.columns import Raw, to_places
from netvlad.places.io.roles import SPELLINGS, roles

NAMES = ["Image Name", "GPS-Latitude", "LNG", "Bearing", "Captured_At", "Pano ID", "Subset", "colour"]


def raw(**columns) -> Raw:
    return Raw("/data/t.csv", columns, range(2, 2 + len(next(iter(columns.values())))))


def test_no_spelling_has_two_meanings():
    spelled = [word for role, words in SPELLINGS.items() for word in words.split() if role != "date"]
    assert len(spelled) == len(set(spelled))


def test_names_are_known_in_any_dress():
    found = roles(NAMES, "t")
    played = ["path", "lat", "lon", "heading", "time", "panorama", "split"]
    assert found == dict(zip(played, NAMES[:7], strict=True))


def test_of_several_spellings_the_first_listed_wins():
    assert roles(["name", "filename", "latitude", "lat"], "t") == {"path": "filename", "lat": "lat"}


def test_a_column_that_stands_twice_is_refused_unless_nobody_reads_it():
    with pytest.raises(PlacesError, match="'lat' and 'LAT'"):
        roles(["path", "lat", "lon", "LAT"], "t")
    assert roles(["path", "note", "note"], "t") == {"path": "path"}


def test_what_is_missing_is_named_with_what_is_there():
    with pytest.raises(PlacesError, match=r"photo .*and the position .*or a label .*columns are: title, lat"):
        to_places(raw(title=["a"], lat=["1"]), strict=False)


def test_x_and_y_are_degrees_only_if_all_of_them_can_be():
    degrees = to_places(raw(path=["a", "b"], x=["34.8", "34.9"], y=["31.2", "31.3"]), strict=False)
    assert degrees.lon.tolist() == [34.8, 34.9]
    metres = to_places(raw(path=["a", "b"], x=["34.8", "340.9"], y=["31.2", "31.3"]), strict=False)
    assert not metres.geodetic
    assert metres.easting.tolist() == [34.8, 340.9]
    utm = to_places(raw(path=["a"], x=["671384.0"], y=["3459814.3"], zone=["36N"]), strict=False)
    assert utm.lat[0] == pytest.approx(31.26)
    clear = to_places(raw(path=["a"], x=["5"], y=["6"], lat=["31"], lon=["34"]), strict=False)
    assert clear.lat.tolist() == [31]


def test_a_row_without_degrees_may_have_utm():
    degrees = {"lat": ["31.26", "", ""], "lon": ["34.8", "", ""]}
    utm = {"easting": ["", "671384.0", "5"], "northing": ["", "3459814.3", "6"], "utm_zone": ["", "36R", ""]}
    table = raw(path=["a", "b", "c"], **degrees, **utm)
    places = to_places(table, strict=False)
    np.testing.assert_allclose(places.lat, 31.26, atol=1e-6)
    assert [(s.line, s.reason) for s in places.skipped] == [
        (4, "easting and northing without a UTM zone, among positions in latitude and longitude")
    ]


def test_a_zone_in_two_columns():
    table = raw(path=["a"], easting=["334873.0"], northing=["6252266.0"], zone_number=["56"], zone_letter=["H"])
    assert to_places(table, strict=False).utm.tolist() == [32756]


def test_a_zone_that_is_none_matters_only_without_degrees():
    table = raw(path=["a"], lat=["31"], lon=["34"], zone=["harbour"])
    assert to_places(table, strict=True).utm.tolist() == [32636]
    with pytest.raises(PlacesError, match="zone 'harbour'"):
        to_places(raw(path=["a"], easting=["5"], northing=["6"], zone=["harbour"]), strict=False)


def test_date_and_time_in_two_columns():
    table = raw(
        path=["a", "b"],
        lat=["1", "2"],
        lon=["1", "2"],
        date=["2025-12-22", "2025-12-23"],
        time=["09:47:11", "10:00"],
    )
    assert to_places(table, strict=True).time.astype(str).tolist() == [
        "2025-12-22T09:47:11",
        "2025-12-23T10:00:00",
    ]


def test_values_that_may_be_missing_are_noted_and_the_photo_kept():
    table = raw(path=["a", "b"], lat=["1", "2"], lon=["1", "2"], heading=["north", "90"], time=["noon", ""])
    places = to_places(table, strict=False)
    assert len(places) == 2
    assert np.isnan(places.heading[0])
    assert places.heading[1] == 90
    assert places.skipped == ()
    assert [note.line for note in places.notes] == [2, 2]
    with pytest.raises(PlacesError, match="1 of 2 photos cannot be used: line 2: heading 'north'"):
        to_places(table, strict=True)


def test_a_panorama_column_of_truth_values_names_none():
    table = raw(path=["a", "b"], lat=["1", "2"], lon=["1", "2"], pano=["True", "False"])
    assert to_places(table, strict=True).panorama.tolist() == ["", ""]


def test_paths_are_taken_from_the_folder_of_the_table():
    places = to_places(raw(path=["x/a.jpg", "../b.jpg", "/c.jpg"], lat=[1, 2, 3], lon=[1, 2, 3]), strict=True)
    assert places.path.tolist() == [os.path.abspath(p) for p in ("/data/x/a.jpg", "/b.jpg", "/c.jpg")]


def test_a_label_makes_up_for_a_position_that_is_missing_but_not_for_one_that_is_wrong():
    table = raw(
        path=list("abcdefg"),
        lat=["31.26", "", "0", "95", "word", "31", ""],
        lon=["34.8", "", "0", "34", "34", "", ""],
        place_id=["", 7.0, "fog", "x", "x", "x", ""],
    )
    places = to_places(table, strict=False)
    assert [os.path.basename(path) for path in places.path] == ["a", "b", "c"]
    assert places.place.tolist() == ["", "7", "fog"]
    assert places.located.tolist() == [True, False, False]
    for name in ("lat", "lon", "easting", "northing"):
        assert np.isfinite(getattr(places, name)).tolist() == [True, False, False]
    assert [(s.line, s.reason) for s in places.skipped] == [
        (5, "latitude 95.0 is outside -90..90"),
        (6, "lat 'word' is not a number"),
        (7, "only latitude given"),
        (8, "no position"),
    ]


def test_labels_alone_are_enough():
    places = to_places(raw(path=["a", "b"], place=["x", ""]), strict=False)
    assert places.place.tolist() == ["x"]
    assert [s.reason for s in places.skipped] == ["no position"]
    with pytest.raises(PlacesError, match="1 of 2 photos cannot be used: line 3: no position"):
        to_places(raw(path=["a", "b"], place=["x", ""]), strict=True)
