"""Dates that begin with the day or the month."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netvlad.errors import PlacesError
from netvlad.places import read_places
from netvlad.places.io.dates import year_first
from netvlad.places.values import times


def read(column: list[str], order: str | None = None) -> list[str]:
    lines = range(2, 2 + len(column))
    return [str(time) for time in times(year_first(column, order, "t.csv", lines))[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13.03.2024 14:05", "2024-03-13T14:05:00"),
        ("12.03.2024 14:05", "2024-03-12T14:05:00"),  # nobody writes full stops and the month first
        ("13/3/2024, 2:05:33 PM", "2024-03-13T14:05:33"),
        ("13-03-2024T09:05:33.25+02:00", "2024-03-13T07:05:33"),
        ("3/13/2024 12:05 a.m.", "2024-03-13T00:05:00"),
        ("13.03.2024", "2024-03-13T12:00:00"),
        ("2024-03-12 14:05", "2024-03-12T14:05:00"),
        ("13/13/2024 14:05", "NaT"),
        ("31/02/2024 14:05", "NaT"),
        ("13/03/2024 14:05 PM", "NaT"),
    ],
)
def test_one_date(text, expected):
    assert read([text], "day-first" if expected == "NaT" else None) == [expected]


def test_one_date_decides_for_the_column():
    assert read(["03/12/2024", "25/12/2024"]) == ["2024-12-03T12:00:00", "2024-12-25T12:00:00"]
    assert read(["03/12/2024", "12/25/2024"]) == ["2024-03-12T12:00:00", "2024-12-25T12:00:00"]


@pytest.mark.parametrize("column", [["", "03/12/2024 14:05"], ["25/12/2024", "12/25/2024"]])
def test_what_the_column_does_not_tell_is_asked(column):
    with pytest.raises(PlacesError, match="--date-order day-first"):
        read(column)
    assert read(column, "day-first") != read(column, "month-first")


def test_columns_with_names_of_their_own(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("Bild;Breite;Länge ;Datum;Uhrzeit\na.jpg;48,8566;2,35;12.03.2024;9:05\n", encoding="cp1252")
    named = {"path": "Bild", "lat": "Breite", "lon": "länge", "date": "Datum", "time": "Uhrzeit"}
    with pytest.warns(UserWarning, match="1252"):
        places = read_places(table, columns=named, strict=True)
    assert (places.lat[0], places.lon[0], str(places.time[0])) == (48.8566, 2.35, "2024-03-12T09:05:00")


@pytest.mark.parametrize(
    "wrong", [{"columns": {"lat": "Breitengrad"}}, {"columns": {"latitude": "Breite"}}, {"date_order": "american"}]
)
def test_what_is_asked_for_and_not_there(tmp_path, wrong):
    (tmp_path / "t.csv").write_text("path,lat,lon,Breite\na.jpg,1,2,3\n")
    with pytest.raises(PlacesError, match=r"Breite|lat_ref|month-first"):
        read_places(tmp_path / "t.csv", **wrong)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "geojson"])
def test_the_column_that_is_named_wins_in_every_format(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        path.write_text("path,place,Ort\na.jpg,x,y\n")
    elif suffix == "geojson":
        path.write_text('{"features": [{"properties": {"path": "a.jpg", "place": "x", "Ort": "y"}}]}')
    else:
        pq.write_table(pa.table({"path": ["a.jpg"], "place": ["x"], "Ort": ["y"]}), path)
    assert read_places(path, columns={"place": "Ort"}).place.tolist() == ["y"]
