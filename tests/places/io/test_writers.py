from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places, read_places, write_places
from netvlad.places.io import writers

FORMATS = (".csv", ".parquet", ".geojson")


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_saved_is_read_back(geodetic, planar, tmp_path, suffix, same):
    for name, places in (
        ("geodetic", geodetic),
        ("planar", planar),
        ("one_clock", geodetic[:1]),
        ("wall", geodetic[1:]),
    ):
        write_places(places, tmp_path / f"{name}{suffix}")
        back = read_places(tmp_path / f"{name}{suffix}", strict=True)
        same(back, places)
        assert back.notes == ()


@pytest.mark.parametrize("suffix", FORMATS)
def test_random_places_survive_to_the_last_bit(tmp_path, suffix, same):
    rng = np.random.default_rng(0)
    n = 500
    places = Places.build(
        path=[tmp_path / f"{i}.jpg" for i in range(n)],
        lat=np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        lon=rng.uniform(-180, 180, n),
        heading=rng.uniform(-180, 180, n),
        time=np.datetime64("1960-01-01") + rng.integers(0, 3 * 10**9, n).astype("m8[s]"),
        is_utc=rng.random(n) < 0.5,
    )
    write_places(places, tmp_path / f"t{suffix}")
    same(read_places(tmp_path / f"t{suffix}", strict=True), places)


@pytest.mark.parametrize("suffix", FORMATS)
def test_utm_that_was_given_survives(tmp_path, suffix, same):
    places = Places.build(
        path=["/a.jpg", "/b.jpg"],
        easting=[543256.96, 334873.1],
        northing=[4178906.7, 6252266.2],
        utm=["10S", "56S"],
    )
    write_places(places, tmp_path / f"t{suffix}")
    same(read_places(tmp_path / f"t{suffix}", strict=True), places)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_folder_can_move(geodetic, tmp_path, suffix):
    (tmp_path / "here").mkdir()
    inside = Places.build(path=[tmp_path / "here" / "x" / "a.jpg", tmp_path / "b.jpg"], lat=[1, 2], lon=[1, 2])
    write_places(inside, tmp_path / "here" / f"t{suffix}")
    shutil.move(tmp_path / "here", tmp_path / "there")
    back = read_places(tmp_path / "there" / f"t{suffix}")
    assert back.path.tolist() == [str(tmp_path / "there" / "x" / "a.jpg"), str(tmp_path / "b.jpg")]


def test_csv_is_plain(geodetic, tmp_path):
    write_places(geodetic, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["path"] == "a, b;c.jpg"
    assert rows[0]["time"] == "2025-12-22T07:47:11Z"
    assert rows[1]["time"] == "2025-12-22T09:47:11"
    assert rows[0]["heading"] == "12.3"
    assert rows[1]["heading"] == ""


def test_geojson_is_geojson(geodetic, planar, tmp_path):
    write_places(geodetic, tmp_path / "t.geojson")
    content = json.loads((tmp_path / "t.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert content["features"][0]["geometry"] == {"type": "Point", "coordinates": [34.80118454, 31.26196648]}
    assert content["features"][0]["properties"]["heading"] == 12.3
    write_places(planar, tmp_path / "t.geojson")
    assert json.loads((tmp_path / "t.geojson").read_text())["features"][1]["geometry"] is None


def test_parquet_is_geoparquet(geodetic, planar, tmp_path):
    write_places(geodetic, tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Point"]
    assert "crs" not in column  # which means longitude, latitude on WGS 84
    assert column["bbox"] == [geodetic.lon.min(), geodetic.lat.min(), geodetic.lon.max(), geodetic.lat.max()]
    assert (
        table["geometry"][1].as_py().hex()
        == "0101000000" + geodetic.lon[1:2].tobytes().hex() + geodetic.lat[1:2].tobytes().hex()
    )
    write_places(planar, tmp_path / "t.parquet")
    geo = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"] is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_save_that_fails_leaves_the_last_good_table(geodetic, tmp_path, suffix, monkeypatch, same):
    path = tmp_path / f"t{suffix}"
    write_places(geodetic, path)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writers.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_places(geodetic[:1], path)
    monkeypatch.undo()
    same(read_places(path), geodetic)
    assert os.listdir(tmp_path) == [path.name]


def test_where_nothing_can_be_written(geodetic, tmp_path):
    with pytest.raises(PlacesError, match=r"\.csv, \.parquet, \.geojson, not as \.xlsx"):
        write_places(geodetic, tmp_path / "t.xlsx")
    with pytest.raises(PlacesError, match="no folder"):
        write_places(geodetic, tmp_path / "nowhere" / "t.csv")
    with pytest.raises(PlacesError, match="rename"):
        write_places(Places.build(path="/\udce9.jpg", lat=1, lon=2), tmp_path / "t.csv")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_table_can_be_saved(tmp_path, suffix):
    write_places(Places.build(path=[]), tmp_path / f"t{suffix}")
    with pytest.raises(PlacesError, match=r"no rows|no columns"):
        read_places(tmp_path / f"t{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_labels_survive_with_and_without_positions(tmp_path, suffix, same):
    for name, at in (("degrees", {"lat": [1.5, np.nan], "lon": [2.5, np.nan]}), ("none", {})):
        places = Places.build(path=["/a.jpg", "/b.jpg"], place=["x, y", "7"], **at)
        write_places(places, tmp_path / f"{name}{suffix}")
        same(read_places(tmp_path / f"{name}{suffix}", strict=True), places)
    planar = Places.build(path=["/a.jpg", "/b.jpg"], easting=[5, np.nan], northing=[6, np.nan], place=["", "x"])
    write_places(planar, tmp_path / f"planar{suffix}")
    same(read_places(tmp_path / f"planar{suffix}", strict=True), planar)


def test_geoparquet_bounds_only_what_has_a_position(tmp_path):
    write_places(Places.build(path=list("ab"), lat=[1, np.nan], lon=[2, np.nan], place="x"), tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    geometry = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]
    assert geometry["bbox"] == [2, 1, 2, 1]
    assert [cell is None for cell in table.column("geometry").to_pylist()] == [False, True]
