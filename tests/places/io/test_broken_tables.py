"""Tables of the wrong shape: read, or refused with a short PlacesError, without delay."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvlad.errors import PlacesError
from netvlad.places import Places, read_places

POINT = {"type": "Point", "coordinates": [34.8, 31.2]}
GOOD = {"type": "Feature", "geometry": POINT, "properties": {"path": "good.jpg", "heading": 5, "time": "2025-12-22"}}


def read(path: Path) -> Places | str:
    """The places, or the message of the refusal; fails for any other error, a long message or a delay."""
    start = time.process_time()
    try:
        found = read_places(path)
    except PlacesError as error:
        found = str(error)
        assert len(found) < 2000 + len(str(path)) + 10
    assert all(len(s.reason) <= 300 for s in getattr(found, "skipped", ()))
    assert time.process_time() - start < 5  # some 0.1 where nothing else runs
    return found


def refused(path: Path) -> str:
    found = read(path)
    assert isinstance(found, str), found
    return found


@pytest.fixture
def table(tmp_path):
    def write(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return write


@pytest.fixture
def geojson(table):
    def write(*features, **more) -> Path:
        return table(json.dumps({"type": "FeatureCollection", "features": list(features), **more}), "t.geojson")

    return write


@pytest.fixture
def parquet(tmp_path):
    def write(metadata=None, **columns) -> Path:
        columns = {"path": ["a.jpg", "b.jpg"], "lat": [31.0, 32.0], "lon": [34.0, 34.0], **columns}
        made = pa.table({name: column for name, column in columns.items() if column is not None})
        pq.write_table(made.replace_schema_metadata(metadata), tmp_path / "t.parquet")
        return tmp_path / "t.parquet"

    return write


# -- CSV ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "columns for"),
        (b"\xef\xbb\xbf", "columns for"),
        ("path,lat,lon\na.jpg,1,2\n".encode("utf-16")[:-1], "of utf-16"),
        ("path,lat,lon\na.jpg,1,2\n".encode("utf-16-le"), "UTF-16"),
        (b'path,lat,lon,note\na.jpg,1,2,"never\nb.jpg,1,3,closed\n', "line 2: a quote is opened and never closed"),
        (b'path,lat,lon,note\na.jpg,1,2,"' + b"x" * 200_000, "line 2: field larger"),
        (b"path,lat,lon\n" + b"a" * 200_000 + b",1,2\n", "field larger"),
        (b"path,lat,lon\na\0.jpg,1,2\n", "NUL"),
        (b"x" * 10_000_000, "first line"),
        (",".join(f"c{i}" for i in range(100_000)) + "\n", "c0, c1"),
        ("name," * 100_000 + "\n", "two columns"),
        ("note," * 100_000 + "\n", "columns for"),
        ("path,easting,northing,utm\na.jpg,1,2," + "_" * 100_000 + "\n", "no UTM zone"),
    ],
)
def test_csv_that_is_refused(table, content, words):
    assert words in refused(table(content))


def test_csv_with_cells_of_no_use(table):
    huge = "9" * 400
    rows = [f"a.jpg,{huge},34,", "b.jpg,31,inf,", "c.jpg,31,1e400,", f"d.jpg,31,34,{'1' * 100_000}", "e.jpg,31,34,"]
    places = read(table("path,lat,lon,time\n" + "\n".join(rows) + "\n"))
    assert [os.path.basename(path) for path in places.path] == ["d.jpg", "e.jpg"]
    assert [s.line for s in places.skipped] == [2, 3, 4]
    assert [s.line for s in places.notes] == [5]


def test_quotes_within_and_over_lines_are_read(table):
    places = read(table('path,lat,lon,note\n"a ""b"".jpg",1,2,"two\nlines"\nc.jpg,1,2,5" wide\n'))
    assert [os.path.basename(path) for path in places.path] == ['a "b".jpg', "c.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
@pytest.mark.parametrize("suffix", ["csv", "parquet", "geojson"])
def test_only_regular_files_are_tables(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe.{suffix}")
    (tmp_path / f"endless.{suffix}").symlink_to("/dev/zero")
    assert "regular file" in refused(tmp_path / f"pipe.{suffix}")
    assert "regular file" in refused(tmp_path / f"endless.{suffix}")


@pytest.mark.parametrize("suffix", ["csv", "geojson"])
def test_text_that_memory_cannot_hold_is_not_begun(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    with path.open("wb") as file:
        file.truncate(5 * 10**9)  # takes no place on the disk
    assert "held in memory" in refused(path)


# -- GeoJSON ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"geometry": [1, 2]},
        {"geometry": "POINT (1 2)"},
        {"geometry": {"type": ["Point"], "coordinates": {"0": 1}}},
        {"geometry": {"type": "Point", "coordinates": "12"}},
        {"geometry": {"type": "Point", "coordinates": [True, False]}},
        {"geometry": {"type": "Point", "coordinates": [10**400, 1]}},
        {"geometry": {"type": "Point", "coordinates": [[1, 2], 3]}},
        {"geometry": {"type": "Point", "coordinates": [float("nan"), float("inf")]}},
        {"geometry": {}},
        {"properties": [1, 2]},
        {"properties": "path"},
        {"properties": {"path": {"a": "b"}}},
        {"properties": {"path": ["a.jpg"]}},
        {"properties": {"path": "\ud800.jpg"}},
        {"properties": {"path": "a\0.jpg"}},
        {"properties": {"path": "a.jpg", "lat": 10**400, "lon": 1}, "geometry": None},
        {"properties": {"path": "a.jpg", "lat": True, "lon": False}, "geometry": None},
        {"properties": {"path": "a.jpg", "lat": [1, 2], "lon": [3, 4]}, "geometry": None},
        {"properties": {"path": "a.jpg", "place": {"deep": [[[]]]}}},
    ],
)
def test_a_feature_of_the_wrong_shape_is_left_out(geojson, change):
    places = read(geojson({**GOOD, **change}, GOOD))
    assert [os.path.basename(path) for path in places.path] == ["good.jpg"]
    assert [s.line for s in places.skipped] == [1]


@pytest.mark.parametrize(
    "time",
    [
        "0000-01-01T00:00:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        1e300,
        -1e300,
        10**400,
        [2025],
        "1" * 9000,
    ],
)
def test_a_time_that_is_none_leaves_the_row(geojson, time):
    odd = {**GOOD, "properties": {"path": "odd.jpg", "time": time}}
    places = read(geojson(odd, GOOD))
    assert len(places) + len(places.skipped) == 2
    assert len(places.notes) + len(places.skipped) == 1
    assert np.isnat(places.time[0]) or len(places) == 1


@pytest.mark.parametrize(
    "crs", [[1], "EPSG:4326", {"properties": []}, {"properties": {"name": []}}, {"properties": {"name": {"a": 1}}}]
    + [{"properties": {"name": "x" * 10**6}}, {"properties": {"name": 10**30}}, {"properties": {"name": True}}]
)  # fmt: skip
def test_a_frame_of_the_wrong_shape(geojson, crs):
    refused(geojson(GOOD, crs=crs))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"features":' * 50_000, "null", '{"features": null}', "[1e999, NaN]"])
def test_json_that_is_nested_or_something_else(table, text):
    assert "t.geojson: is not" in refused(table(text, "t.geojson"))


def test_properties_with_names_of_their_own_fill_no_table(geojson):
    features = [{**GOOD, "properties": {"path": f"{i}.jpg", f"note {i}": i}} for i in range(20_000)]
    assert len(read(geojson(*features))) == 20_000


# -- Parquet ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"lat": pa.array([[1.0], [2.0]])}, "column 'lat' holds list"),
        ({"path": pa.array([{"a": "b"}, None])}, "column 'path' holds struct"),
        ({"time": pa.array([1, 2], pa.duration("s"))}, "column 'time' holds duration"),
        ({"path": pa.array([b"ab", b"cd"], pa.binary(2))}, "column 'path' holds fixed_size_binary"),
        ({"path": pa.array([b"\xff", b"a"])}, "utf-8"),
        ({"path": None, "lat": None, "lon": None}, "columns for"),
        ({"Path": ["a", "b"]}, "two columns"),
        ({"metadata": {"geo": "{"}}, "no JSON"),
        ({"metadata": {"geo": "[" * 100_000}}, "no JSON"),
        ({"metadata": {"geo": "[]"}}, '"columns"'),
        ({"metadata": {"geo": "{}"}}, '"columns"'),
        ({"metadata": {"geo": '{"columns": {"geometry": []}}'}}, '"columns"'),
        ({"metadata": {"geo": '{"columns": {}, "primary_column": [1]}'}}, "encoded as None"),
        ({"metadata": {"geo": '{"columns": {"g": {"encoding": "WKB"}}, "primary_column": "g"}'}, "g": ["a", "b"]},
         "WKB is bytes"),
        ({"metadata": {"geo": '{"columns": {"g": {"encoding": "WKB", "crs": [1]}}, "primary_column": "g"}'},
          "g": [b"a", b"b"]}, "WGS 84"),
    ],
)  # fmt: skip
def test_parquet_that_is_refused(parquet, columns, words):
    assert words in refused(parquet(**columns))


def test_odd_columns_that_are_of_no_use_do_no_harm(parquet):
    nested = pa.array([{"a": [1, 2]}, None])
    places = read(parquet(note=nested, more=pa.array([b"\xff", None]), far=pa.array([10**17, 0], pa.timestamp("us"))))
    assert len(places) == 2


@pytest.mark.parametrize(
    "path",
    [
        pa.array(["a.jpg", "b.jpg"], pa.large_string()),
        pa.array([b"a.jpg", b"b.jpg"]),
        pa.array(["a.jpg", "b.jpg"]).dictionary_encode(),
    ],
)
def test_texts_of_every_kind_are_read(parquet, path):
    assert [os.path.basename(p) for p in read(parquet(path=path)).path] == ["a.jpg", "b.jpg"]


def test_delta_encoded_texts_are_read(tmp_path):
    columns = pa.table({"path": ["a.jpg", "b.jpg"], "lat": [31.0, 32.0], "lon": [34.0, 34.0]})
    encoding = {"path": "DELTA_BYTE_ARRAY", "lat": "PLAIN", "lon": "PLAIN"}
    pq.write_table(columns, tmp_path / "t.parquet", use_dictionary=False, column_encoding=encoding)
    assert [os.path.basename(p) for p in read(tmp_path / "t.parquet").path] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "time",
    [
        pa.array([9 * 10**14, -(9 * 10**14)], pa.timestamp("ms")),
        pa.array([9 * 10**14, -(9 * 10**14)], pa.timestamp("ms", "UTC")),
        pa.array([2**31 - 1, -(2**31)], pa.date32()),
    ],
)
def test_dates_far_from_ours_are_unknown(parquet, time):
    places = read(parquet(time=time))
    assert np.isnat(places.time).all()
    assert len(places.notes) == 2


def test_a_date_keeps_its_day(parquet):
    assert read(parquet(date=pa.array([20_000, None], pa.date32()))).time[0] == np.datetime64("2024-10-04T12:00")


def test_rows_that_a_few_bytes_stand_for_are_not_read(parquet):
    n = 5_000_000
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["a.jpg"]))
    zeros = pa.array(np.zeros(n))
    assert "5,000,000 rows" in refused(parquet(path=same, lat=zeros, lon=zeros))


@pytest.mark.parametrize("dictionary", [True, False])
def test_cells_that_a_few_bytes_stand_for_fill_no_memory(tmp_path, dictionary):
    n = 700
    same = pa.array(["x" * 10_000_000] * 3 + [""] * (n - 3)) if dictionary else pa.array(["x" * 200_000] * n)
    zeros = pa.array(np.zeros(n))
    pq.write_table(
        pa.table({"path": same, "lat": zeros, "lon": zeros}),
        tmp_path / "t.parquet",
        compression="zstd",
        use_dictionary=dictionary,
        dictionary_pagesize_limit=100_000_000,
    )
    refused(tmp_path / "t.parquet")


# -- anything -----------------------------------------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([10**400, "9" * 500, "\ud800", "31.2", "36N", "2025-12-22", "Z", "EPSG:32636", 1e300])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
ROLES = ("path", "lat", "lon", "easting", "northing", "utm", "utm_letter", "heading", "time", "date", "place", "split")
ROWS = st.lists(st.dictionaries(st.sampled_from(ROLES), VALUES, max_size=6), min_size=1, max_size=4)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUICK
@given(rows=ROWS, geometry=VALUES, crs=VALUES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_geojson_is_read_or_refused(tmp_path_factory, rows, geometry, crs):
    path = tmp_path_factory.mktemp("t") / "t.geojson"
    features = [GOOD, *({"geometry": geometry, "properties": row} for row in rows), {"geometry": POINT}]
    path.write_text(json.dumps({"features": features, "crs": crs}))
    read(path)


@QUICK
@given(rows=ROWS, where=st.integers(0, 300), what=st.binary(max_size=6))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_csv_is_read_or_refused(tmp_path_factory, rows, where, what):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    lines = [",".join(ROLES), *(",".join(str(row.get(role, "")) for role in ROLES) for row in rows)]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    path.write_bytes(content[:where] + what + content[where:])
    read(path)


@QUICK
@given(where=st.integers(0, 2000), what=st.binary(min_size=1, max_size=4), drop=st.booleans())
def test_any_bytes_in_parquet_are_read_or_refused(tmp_path_factory, where, what, drop):
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    pq.write_table(pa.table({"path": ["a.jpg", "b.jpg"], "lat": [31.0, 32.0], "lon": [34.0, 34.0]}), path)
    content = path.read_bytes()
    where %= len(content)
    path.write_bytes(content[:where] if drop else content[:where] + what + content[where + len(what) :])
    read(path)
