from __future__ import annotations

import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyproj import CRS, Transformer

from netvlad.errors import PlacesError
from netvlad.places import read_places

LAT, LON = 31.26196648, 34.80118454


@pytest.fixture
def csv(tmp_path):
    def write(text: str, name: str = "t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_csv_as_a_spreadsheet_writes_it(csv):
    places = read_places(csv("\ufeffDatei;path;Breite;lat;lon\r\n1;a.jpg;x;31,26196648;34,80118454\r\n"), strict=True)
    assert (places.lat[0], places.lon[0]) == (LAT, LON)


@pytest.mark.parametrize("text", [
    "path,lat,lon\na b.jpg,31.26196648,34.80118454\n",
    "path, lat, lon\na b.jpg, 31.26196648, 34.80118454",
    "path\tlat\tlon\na b.jpg\t31.26196648\t34.80118454\n",
    'path;lat;lon\n"a b.jpg";31.26196648;34.80118454\n\n',
    "lon,path,lat,,\n34.80118454,a b.jpg,31.26196648,,\n",
])  # fmt: skip
def test_delimiters(csv, tmp_path, text):
    places = read_places(csv(text), strict=True)
    assert places.path.tolist() == [str(tmp_path / "a b.jpg")]
    assert (places.lat[0], places.lon[0]) == (LAT, LON)


def test_rows_that_cannot_stand_are_left_out_with_their_line(csv):
    path = csv(
        "path,lat,lon,note\n"  # line 1
        'a.jpg,31,34,"two\nlines"\n'  # 2 and 3
        "b.jpg,,34,\n"
        "c.jpg,0,0,\n"
        "d.jpg,95,34,\n"
        "\n"
        "e.jpg,31,181,\n"
        "f.jpg,nan,nan,\n"
        "g.jpg,31,34,1,2\n"  # one cell too many
        "h.jpg,3\n"  # cut off
        "i.jpg,north,34,\n"
        ",31,34,\n"
        "a.jpg,32,35,\n"
    )
    places = read_places(path)
    assert places.lat.tolist() == [31, 32]
    assert places.path[0] == places.path[1]  # named twice, kept twice
    reasons = {s.line: s.reason for s in places.skipped}
    assert sorted(reasons) == [4, 5, 6, 8, 9, 10, 11, 12, 13]
    assert reasons[4] == "only longitude given"
    assert "(0, 0)" in reasons[5]
    assert "95" in reasons[6]
    assert "181" in reasons[8]
    assert reasons[9] == "no position"
    assert reasons[10] == "5 cells where the heading has 4"
    assert reasons[11] == "2 cells where the heading has 4"
    assert reasons[12] == "lat 'north' is not a number"
    assert reasons[13] == "no path of a photo"
    assert all(s.source == str(path) for s in places.skipped)
    with pytest.raises(PlacesError, match=r"9 of 11 photos .*line 4: only longitude given; .* and 6 more"):
        read_places(path, strict=True)


def test_a_table_in_which_nothing_can_stand(csv):
    with pytest.raises(PlacesError, match="2 of 2 photos cannot be used: line 2"):
        read_places(csv("path,lat,lon\na.jpg,0,0\nb.jpg,,\n"))
    with pytest.raises(PlacesError, match="holds no rows"):
        read_places(csv("path,lat,lon\n"))
    with pytest.raises(PlacesError, match="its columns are: none"):
        read_places(csv(""))


def test_text_that_is_not_utf8(csv):
    with pytest.raises(PlacesError, match="UTF-8"):  # damaged UTF-8, and no Windows-1252 though it could be
        read_places(csv("path,lat,lon\né.jpg,1,2\n".encode() + b"\xe9.jpg,1,2\n"))
    with pytest.raises(PlacesError, match="UTF-8"):
        read_places(csv(b"path,lat,lon\n\x81.jpg,1,2\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.filterwarnings("ignore:.*Windows-1252")
def test_encodings_of_spreadsheets(csv, encoding):
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    table = csv((mark + "path\tlat\tlon\tPlace\nKöln €.jpg\t50,9413\t6,9583\tGroße Straße\n").encode(encoding))
    places = read_places(table, strict=True)
    assert places.path[0].endswith("Köln €.jpg")
    assert (places.lat[0], places.lon[0], places.place[0]) == (50.9413, 6.9583, "Große Straße")


def test_windows_1252_is_told(csv):
    with pytest.warns(UserWarning, match="Windows-1252"):
        read_places(csv("path,lat,lon\nKöln.jpg,1,2\n".encode("cp1252")))


def test_a_column_that_stands_twice(csv):
    with pytest.raises(PlacesError, match="two columns 'lat' and 'lat'"):
        read_places(csv("path,lat,lon,lat\na.jpg,1,2,3\n"))


def test_planar_tables_may_start_at_zero(csv):
    places = read_places(csv("path,easting,northing\na.jpg,0,0\nb.jpg,3,4\n"), strict=True)
    assert places.xyz.tolist() == [[0, 0, 0], [3, 4, 0]]


def geojson(*features, **more) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **more})


def feature(coordinates, kind="Point", **properties) -> dict:
    geometry = coordinates and {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_geojson(csv):
    text = geojson(
        feature([LON, LAT, 300.0], image="a.jpg", heading=90, captured_at=1766397177000),
        feature([[LON, LAT], [LON, LAT]], "LineString", name="the way there"),
        feature(None, image="b.jpg"),
        feature(None, image="c.jpg", lat=31.0, lon=34.0),
        feature([0, 0], image="d.jpg"),
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": []}, "properties": None},
    )
    places = read_places(csv(text, "t.geojson"))
    assert places.lat.tolist() == [LAT, 31.0]
    assert places.heading[0] == 90
    assert places.is_utc.tolist() == [True, False]
    reasons = {s.line: s.reason for s in places.skipped}
    assert list(reasons) == [2, 3, 5, 6]
    assert "LineString" in reasons[2]
    assert reasons[3] == "no position"


def test_geojson_in_another_frame(csv):
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(LON, LAT)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    places = read_places(csv(geojson(feature([x, y], file="a.jpg"), crs=crs), "t.json"))
    np.testing.assert_allclose([places.lat[0], places.lon[0]], [LAT, LON], atol=1e-9)


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "FeatureCollection"}', '{"features": [1]}'])
def test_json_that_is_no_geojson(csv, text):
    with pytest.raises(PlacesError, match=r"t\.geojson: is not"):
        read_places(csv(text, "t.geojson"))


def wkb(x: float, y: float, form: str = "plain") -> bytes:
    return {
        "plain": struct.pack("<BIdd", 1, 1, x, y),
        "big": struct.pack(">BIdd", 0, 1, x, y),
        "z": struct.pack("<BIddd", 1, 1001, x, y, 300.0),
        "srid": struct.pack("<BIIdd", 1, 0x20000001, 4326, x, y),
    }[form]


@pytest.fixture
def geoparquet(tmp_path):
    def write(cells, crs="absent", encoding="WKB", **columns):
        geometry = {"encoding": encoding, "geometry_types": ["Point"]}
        if crs != "absent":
            geometry["crs"] = crs
        geo = {"version": "1.1.0", "primary_column": "where", "columns": {"where": geometry}}
        table = pa.table(
            {
                "image": [f"{i}.jpg" for i in range(len(cells))],
                "where": pa.array(cells, pa.binary()),
                **columns,
            }
        )
        path = tmp_path / "t.parquet"
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
        return path

    return write


@pytest.mark.parametrize(
    "crs", ["absent", json.loads(CRS("OGC:CRS84").to_json()), json.loads(CRS("EPSG:4326").to_json())]
)
def test_geoparquet_in_degrees_is_always_lon_lat(geoparquet, crs):
    places = read_places(geoparquet([wkb(LON, LAT), wkb(-70.5, -33.5)], crs), strict=True)
    assert places.lat.tolist() == [LAT, -33.5]
    assert places.lon.tolist() == [LON, -70.5]


@pytest.mark.parametrize("epsg", [32636, 3857, 2039])
def test_geoparquet_in_another_frame_is_converted(geoparquet, epsg):
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(LON, LAT)
    places = read_places(geoparquet([wkb(x, y)], json.loads(CRS(epsg).to_json())), strict=True)
    np.testing.assert_allclose([places.lat[0], places.lon[0]], [LAT, LON], atol=1e-8)
    assert places.utm.tolist() == [32636]


def test_geoparquet_without_a_known_frame_is_planar(geoparquet):
    places = read_places(geoparquet([wkb(3, 4), wkb(0, 0)], None), strict=True)
    assert places.xyz.tolist() == [[3, 4, 0], [0, 0, 0]]


def test_wkb_of_every_make(geoparquet):
    cells = [wkb(LON, LAT, form) for form in ("plain", "big", "z", "srid")]
    places = read_places(geoparquet(cells), strict=True)
    assert places.lat.tolist() == [LAT] * 4
    assert places.lon.tolist() == [LON] * 4


def test_wkb_that_is_no_point_loses_its_row_only(geoparquet):
    places = read_places(geoparquet([wkb(LON, LAT), struct.pack("<BII", 1, 2, 0), b"\1", b"", None]))
    assert len(places) == 1
    assert [s.line for s in places.skipped] == [2, 3, 4, 5]
    assert "type 2" in places.skipped[0].reason


def test_geoparquet_in_another_encoding_or_of_no_frame_at_all(geoparquet):
    with pytest.raises(PlacesError, match="encoded as point"):
        read_places(geoparquet([wkb(1, 2)], encoding="point"))
    with pytest.raises(PlacesError, match="WGS 84"):
        read_places(geoparquet([wkb(1, 2)], "EPSG:999999"))


def test_parquet_with_its_own_types(tmp_path):
    when = np.array(["2025-12-22T09:52:57", "NaT"], "M8[us]")
    table = pa.table({
        "filename": pa.array(["a.jpg", "b.jpg"]).dictionary_encode(),
        "latitude": pa.array([31.0, 32.0], pa.float32()),
        "longitude": pa.array([34, 35], pa.int64()),
        "heading": pa.array([90, None], pa.int16()),
        "timestamp": pa.array(when, pa.timestamp("us", "Asia/Jerusalem")),
        "pano_id": pa.array([7, None], pa.int64()),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    places = read_places(tmp_path / "t.parquet", strict=True)
    assert places.path[0] == str(tmp_path / "a.jpg")
    np.testing.assert_array_equal(places.heading, np.float32([90, np.nan]))
    assert places.time.astype(str).tolist() == ["2025-12-22T09:52:57", "NaT"]
    assert places.is_utc.tolist() == [True, False]
    assert places.panorama.tolist() == ["7", ""]


def test_parquet_that_is_none(csv):
    with pytest.raises(PlacesError, match="cannot be read as Parquet"):
        read_places(csv("PAR1 or so", "t.parquet"))
