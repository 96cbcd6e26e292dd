"""Files of answers, read back by the tools that they are for."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from netvlad.errors import NetvladError
from netvlad.export.found.write import WRITERS, check_found, sure_enough, write_found
from netvlad.places import read_places
from netvlad.places.projection import to_utm

ODD = 'Straße "7" <&> \u0007 \udce9, 東京.jpg'


def answer(photo: str, lat: float | None = 31.26, **more):
    """An answer in `Location.to_dict`'s form."""
    east, north, zone = (None, None, 0) if lat is None else map(float, to_utm(lat, -34.8))
    return {
        "photo": photo,
        "lat": lat,
        "lon": lat and -34.8,
        "easting": east,
        "northing": north,
        "radius": 25.0,
        "confidence": 0.83,
        "absent": 0.1,
        "verdict": "probable",
        "place": None,
        "matches": [{"path": "/map/m.jpg", "heading": 90.5, "utm": int(zone) or None, "distance": 0.25, "inliers": 31}],
    } | more


@pytest.fixture
def answers(tmp_path):
    nowhere = {"lat": None, "lon": None, "easting": None, "northing": None, "place": "=hall"}
    return [
        answer(str(tmp_path / "a" / ODD)),
        answer("/elsewhere/b.jpg", -12.5, confidence=None, verdict="unknown"),
        answer(str(tmp_path / "c.jpg"), **nowhere),
        {"photo": str(tmp_path / "-d.jpg"), "error": "is empty (0 bytes)"},
    ]


def ogr(file: Path) -> list[dict]:
    """The features of a file as GDAL reads them."""
    if not shutil.which("ogr2ogr"):
        pytest.skip("needs ogr2ogr of gdal-bin, which reads the file back")
    out = file.with_name("read_back.json")
    layers = ["waypoints"] if file.suffix == ".gpx" else []  # it always has five
    ran = subprocess.run(["ogr2ogr", "-f", "GeoJSON", out, file, *layers], check=True, capture_output=True, text=True)
    assert ran.stderr == ""
    return json.loads(out.read_text("utf-8"))["features"]


@pytest.mark.parametrize("ending", [".csv", ".geojson", ".gpkg", ".gpx", ".kml"])
def test_gdal_reads_the_points(answers, tmp_path, ending):
    write_found(answers, tmp_path / f"found{ending}", "town")
    features = ogr(tmp_path / f"found{ending}")
    points = [f["geometry"] and f["geometry"]["coordinates"][:2] for f in features]
    if ending == ".csv":
        points = [
            [float(f["properties"]["lon"]), float(f["properties"]["lat"])] if f["properties"]["lat"] else None
            for f in features
        ]
    assert points[:2] == [[-34.8, 31.26], [-34.8, -12.5]]
    assert len(points) == (2 if ending in (".gpx", ".kml") else 4)
    assert not any(points[2:])
    text = json.dumps(features[0]["properties"], ensure_ascii=False)
    assert 'Straße \\"7\\" <&>' in text
    assert "\\\\udce9, 東京.jpg" in text
    assert "0.83" in text
    assert "/map/m.jpg" in text


def test_parquet_is_geoparquet(answers, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_found(answers, tmp_path / "found.PARQUET", "town")
    table = parquet.read_table(tmp_path / "found.PARQUET")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert geo["columns"]["geometry"] == {
        "encoding": "WKB",
        "geometry_types": ["Point"],
        "bbox": [-34.8, -12.5, -34.8, 31.26],
    }
    rows = table.to_pylist()
    assert (rows[0]["map"], rows[0]["heading"], rows[0]["inliers"], rows[0]["utm"]) == ("town", 90.5, 31, 32625)
    assert rows[3]["error"] == "is empty (0 bytes)"
    assert rows[3]["geometry"] is None
    found = read_places(tmp_path / "found.PARQUET")
    assert (found.path[1], found.lat[1], found.lon[1]) == ("/elsewhere/b.jpg", -12.5, -34.8)


@pytest.mark.parametrize("ending", [".csv", ".geojson"])
def test_tables_are_read_as_places(answers, tmp_path, ending):
    write_found(answers, tmp_path / f"found{ending}")
    found = read_places(tmp_path / f"found{ending}")
    assert found.path[1] == "/elsewhere/b.jpg"
    assert found.lat.tolist()[:2] == [31.26, -12.5]
    assert math.isnan(found.lat[2])  # of the third only a label is known
    assert found.path[2] == str(tmp_path / "c.jpg")  # named relative to the table


def test_csv_has_no_formulas(answers, tmp_path):
    write_found(answers, tmp_path / "found.csv")
    with open(tmp_path / "found.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[2]["place"], rows[3]["photo"]) == ("'=hall", "./-d.jpg")
    assert not any(cell.startswith(("=", "+", "@", "\t")) for row in rows for cell in row.values())


def test_a_planar_map_has_points_in_metres(tmp_path):
    planar = [answer("a.jpg", None, easting=12.5, northing=-3.0)]
    for ending in (".gpkg", ".geojson", ".gpx", ".parquet"):
        write_found(planar, tmp_path / f"found{ending}")
    with sqlite3.connect(tmp_path / "found.gpkg") as database:
        assert database.execute("SELECT srs_id, min_x, max_y FROM gpkg_contents").fetchall() == [(-1, 12.5, -3.0)]
    assert json.loads((tmp_path / "found.geojson").read_text())["features"][0]["geometry"] is None
    assert "<wpt" not in (tmp_path / "found.gpx").read_text()
    assert read_places(tmp_path / "found.parquet").easting.tolist() == [12.5]


@pytest.mark.parametrize("ending", [ending for ending in WRITERS if ending != ".qml"])
def test_no_answers_at_all(tmp_path, ending):
    write_found([], tmp_path / f"found{ending}")
    if ending == ".gpkg":  # the others are the same text without rows
        assert ogr(tmp_path / f"found{ending}") == []
    assert (tmp_path / f"found{ending}").stat().st_size > 0


def test_wrong_files_are_refused(tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("mine")
    for file in (there, tmp_path / "found.xlsx", tmp_path / "found"):
        with pytest.raises(NetvladError):
            check_found(file)
        with pytest.raises(NetvladError):
            write_found([], file)
    assert there.read_text() == "mine"


def test_sure_enough():
    some = [answer("a", confidence=c) for c in (0.9, 0.8, 0.79, None)] + [{"photo": "b", "error": "x"}]
    assert [a["confidence"] for a in sure_enough(some, 0.8)] == [0.9, 0.8]
    assert sure_enough(some, None) == sure_enough(some, 0) == some
