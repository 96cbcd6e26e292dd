from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from netvlad.places import Places, read_places
from netvlad.places.sun import elevation
from netvlad.town.capture_plan import outline, surveys
from netvlad.town.survey import CAMERA_HEIGHT
from netvlad.town.tables import _recorded, write_tables
from netvlad.town.world import EPSG


def truth(folder: Path) -> dict[str, dict]:
    """What is true of each photo, by its path."""
    return {row["path"]: row for row in pq.read_table(folder / "truth.parquet").to_pylist()}


def off(table: Places, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Metres (n, 2) and degrees (n,) between what is recorded and what is true."""
    rows = [truth(folder)[str(Path(path).relative_to(folder))] for path in table.path]
    east, north, heading = (np.array([row[name] for row in rows]) for name in ("easting", "northing", "heading"))
    turned = (table.heading - heading + 180) % 360 - 180
    return np.stack([table.easting - east, table.northing - north], axis=1), turned


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_tables_are_read(town, split):
    folder = town / split
    panoramas = read_places(folder / "panoramas.parquet", strict=True)
    database = read_places(folder / "database" / "places.parquet", strict=True)
    queries = read_places(folder / "queries" / "places.parquet", strict=True)
    both = read_places(folder / "places.parquet", strict=True)
    for table in (panoramas, database, queries, both):
        assert table.geodetic
        assert set(table.utm) == {EPSG}
        assert table.is_utc.all()
        assert all(Path(path).is_file() for path in table.path)
    assert both.path.tolist() == [*database.path, *queries.path]
    assert both.split.tolist() == ["database"] * len(database) + ["query"] * len(queries)
    assert len(database) == 12 * len(panoramas)
    assert set(database.panorama) == set(panoramas.panorama) == {Path(p).stem for p in panoramas.path}
    assert set(queries.panorama) == {""}
    assert np.isnan(queries.heading).all()  # phones tell none
    assert np.isfinite(panoramas.heading).all()


def test_cut_outs_stand_where_their_panoramas_do(town):
    panoramas = read_places(town / "train" / "panoramas.parquet")
    database = read_places(town / "train" / "database" / "places.parquet")
    where = {name: i for i, name in enumerate(panoramas.panorama)}
    home = np.array([where[name] for name in database.panorama])
    np.testing.assert_array_equal(database.easting, panoramas.easting[home])
    np.testing.assert_array_equal(database.time, panoramas.time[home])
    turned = (database.heading - panoramas.heading[home]) % 360
    steps = np.array([int(Path(path).stem.split("_h")[1][:3]) for path in database.path])
    np.testing.assert_allclose((turned - steps + 180) % 360 - 180, 0, atol=1e-3)


def test_the_truth_about_panoramas(town, size):
    found = truth(town / "train")
    place = outline(3, 0, size.streets)
    for _, shots in surveys(3, 0, size, "train"):
        for shot in shots:
            row = found[f"panoramas/{shot.name}.jpg"]
            east, north = place.to_world(np.array(shot.position[:2])) + place.origin
            assert (row["easting"], row["northing"]) == pytest.approx((east, north), abs=1e-6)
            assert (row["heading"], row["height"]) == (shot.heading, CAMERA_HEIGHT)
            assert row["time"] == str(shot.moment.time)
            assert row["weather"] == shot.moment.weather
            assert np.isnan(row["fov"])
            with Image.open(town / "train" / row["path"]) as photo:  # it travels with the photo
                assert json.loads(photo.info["comment"])["at"] == list(shot.position)


def test_the_truth_about_queries(town, size):
    for split, number in (("train", 0), ("test", 1)):
        rows = [row for path, row in truth(town / split).items() if path.startswith("queries/")]
        assert len(rows) == size.visits * size.queries
        for row in rows:
            absent = row["name"].endswith("_absent")
            assert row["neighbourhood"] == (2 if absent else number)
            assert 1.45 <= row["height"] <= 1.8
            assert 40 < row["fov"] < 75
        taken = read_places(town / split / "panoramas.parquet")
        queries = read_places(town / split / "queries" / "places.parquet")
        gaps = np.hypot(queries.easting[:, None] - taken.easting, queries.northing[:, None] - taken.northing).min(
            axis=1
        )
        absent = np.array(["_absent" in path for path in queries.path])
        assert absent.sum() == size.visits
        assert (gaps[absent] > 300).all()  # no match within 25 m, nor anything near
        assert (gaps[~absent] < 60).all()


def test_the_truth_about_the_sun(town):
    for split in ("train", "test"):
        for name in ("panoramas.parquet", "queries/places.parquet"):
            table = read_places(town / split / name)
            sun = [truth(town / split)[str(Path(path).relative_to(town / split))]["sun"] for path in table.path]
            np.testing.assert_allclose(sun, elevation(table), atol=0.02)


def test_splits_are_hundreds_of_metres_apart(town):
    one, other = (read_places(town / split / "panoramas.parquet") for split in ("train", "test"))
    gaps = np.hypot(one.easting[:, None] - other.easting, one.northing[:, None] - other.northing)
    assert gaps.min() > 300


def test_recorded_positions_are_off_as_stated(town):
    for split in ("train", "test"):
        for name, compass in (("panoramas.parquet", True), ("queries/places.parquet", False)):
            metres, degrees = off(read_places(town / split / name), town / split)
            assert (metres != 0).all()
            assert np.abs(metres).max() < 5 * 2.0
            if compass:
                assert (degrees != 0).all()
                assert np.abs(degrees).max() < 5 * 1.5


def test_without_errors_what_is_recorded_is_true(town, size, tmp_path):
    folder = tmp_path / "train"
    shutil.copytree(town / "train", folder)
    write_tables(folder, "train", 3, size, gps=0.0, compass=0.0, workers=0)
    for name in ("panoramas.parquet", "queries/places.parquet"):
        metres, degrees = off(read_places(folder / name), folder)
        np.testing.assert_allclose(metres, 0, atol=1e-3)
        if name == "panoramas.parquet":
            np.testing.assert_allclose(degrees, 0, atol=1e-4)


@pytest.mark.parametrize(("gps", "compass"), [(2.0, 1.5), (7.0, 20.0), (0.0, 3.0), (4.0, 0.0)])
def test_the_size_of_the_errors(tmp_path, gps, compass):
    n = 4000
    heading = np.linspace(0, 360, n, endpoint=False)
    rows = [
        {
            "path": f"{i}.jpg",
            "name": str(i),
            "easting": 5e5,
            "northing": 4.8e6,
            "heading": h,
            "time": "2020-01-01T00:00:00",
        }
        for i, h in enumerate(heading)
    ]
    table = _recorded(tmp_path, rows, np.random.default_rng(0), gps, compass)
    for error in (table.easting - 5e5, table.northing - 4.8e6):
        assert error.std() == pytest.approx(gps, rel=0.05, abs=1e-3)
        assert abs(error.mean()) < 0.1 * gps + 1e-3
    if gps:
        assert abs(np.corrcoef(table.easting, table.northing)[0, 1]) < 0.06
    turned = (table.heading - heading + 180) % 360 - 180
    assert turned.std() == pytest.approx(compass, rel=0.05, abs=1e-3)
    assert (table.heading.min() >= 0, table.heading.max() < 360) == (True, True)
