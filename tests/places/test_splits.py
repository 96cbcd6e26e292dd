from __future__ import annotations

import csv
import os

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places, hold_out, radius_neighbors, read_places, sessions
from netvlad.places.splits import split_rows

LAT, LON = 31.26, 34.80


def shots(times, lat=LAT, lon=LON, **more) -> Places:
    return Places.build(path=[f"{i}.jpg" for i in range(len(times))], lat=lat, lon=lon, time=times, **more)


def every_minute(start: str, n: int) -> list[str]:
    return (np.datetime64(start, "s") + np.arange(n) * 60).astype(str).tolist()


def names(places: Places) -> set[str]:
    return {os.path.basename(path) for path in places.path}


def test_a_session_ends_with_a_gap_that_is_longer():
    times = ["2025-01-01T14:00:01", "2025-01-01T10:00:00", None, "2025-01-01T12:00:00", "2025-01-02T00:00:00"]
    assert sessions(shots(times)).tolist() == [1, 0, -1, 0, 2]
    assert sessions(shots(times), gap_hours=3).tolist() == [0, 0, -1, 0, 1]
    assert sessions(shots([None, None])).tolist() == [-1, -1]
    assert sessions(shots([])).tolist() == []
    with pytest.raises(PlacesError, match="must be positive, got 0 hours"):
        sessions(shots(times), gap_hours=0)


def test_two_clocks_are_put_on_one():
    # 12:00 at 90 E is about 06:00 UTC.
    places = shots(["2025-01-01T12:00:00", "2025-01-01T06:30:00Z", "2025-01-01T12:30:00Z"], lon=90.0)
    assert sessions(places).tolist() == [0, 0, 1]


def test_the_split_column_decides():
    split = ["Database", "query", "db", "queries", "train", ""]
    held = hold_out(shots([None] * 6, split=split))
    assert names(held.database) == {"0.jpg", "2.jpg"}
    assert names(held.queries) == {"1.jpg", "3.jpg"}
    assert held.how == (
        "by the split column, 2 photos are the database, 2 are the queries; 2 photos of other splits left out"
    )


def test_one_side_of_a_split_is_no_split():
    assert "split" not in hold_out(shots([None] * 6, split="database")).how


def test_night_is_asked_of_day():
    day1, night, twilight, day2 = (
        "2025-12-22T11:00:00",
        "2025-12-22T20:00:00",
        "2025-12-23T17:10:00",
        "2025-12-24T09:00:00",
    )
    times = [
        *every_minute(day1, 12),
        *every_minute(night, 11),
        *every_minute(twilight, 5),
        *every_minute(day2, 1),
        None,
    ]
    held = hold_out(shots(times))
    assert names(held.database) == {f"{i}.jpg" for i in (*range(12), 28)}
    assert names(held.queries) == {f"{i}.jpg" for i in range(12, 23)}
    assert held.how == (
        "13 photos of 2 sessions by day are the database, 11 photos of 1 session by night are the queries; "
        "5 photos at twilight left out; 1 photo without a time left out"
    )


def test_night_by_utc():
    # 22:00 UTC is noon in Tahiti, and 10:00 UTC midnight.
    times = [*every_minute("2025-06-01T22:00:00", 10), *every_minute("2025-06-01T10:00:00", 10)]
    held = hold_out(shots(times, lat=-17.5, lon=-149.5, is_utc=True))
    assert names(held.database) == {f"{i}.jpg" for i in range(10)}


def test_a_few_photos_by_night_make_no_task():
    times = [*every_minute("2025-06-01T10:00:00", 20), *every_minute("2025-06-01T23:00:00", 9)]
    assert "by night" not in hold_out(shots(times)).how


def test_the_latest_sessions_are_held_out():
    sizes = {"2025-06-01": 10, "2025-06-02": 10, "2025-06-03": 4, "2025-06-04": 5}
    times = [t for day, n in sizes.items() for t in every_minute(f"{day}T10:00:00", n)]
    order = np.random.default_rng(0).permutation(len(times))
    places = shots([times[i] for i in order])
    held = hold_out(places)
    assert len(held.queries) == 9
    assert held.queries.time.min() > held.database.time.max()
    assert held.how == "20 photos of 2 sessions are the database, 9 photos of 2 sessions after them are the queries"
    assert len(hold_out(places, share=0.1).queries) == 5
    assert len(hold_out(places, share=0.99).queries) == 19


def test_sessions_at_other_places_are_no_task():
    times = [*every_minute("2025-06-01T10:00:00", 20), *every_minute("2025-06-08T10:00:00", 10)]
    held = hold_out(shots(times, lat=[48.85] * 20 + [41.9] * 10, lon=[2.35] * 20 + [12.5] * 10))
    assert "drawn from cells" in held.how


def test_a_last_session_with_nearly_all_photos_is_no_task():
    times = [*every_minute("2025-06-01T10:00:00", 2), *every_minute("2025-06-08T10:00:00", 50)]
    assert "drawn from cells" in hold_out(shots(times)).how


@pytest.mark.parametrize("share", [0.1, 0.3, 0.8])
def test_cells_keep_a_photo_for_every_query(share):
    rng = np.random.default_rng(0)
    places = Places.build(
        path=[f"{i}.jpg" for i in range(3000)],
        easting=rng.uniform(0, 500, 3000),
        northing=rng.uniform(0, 500, 3000),
    )
    held = hold_out(places, share=share, seed=1)
    assert names(held.database) | names(held.queries) == names(places)
    assert not names(held.database) & names(held.queries)
    assert len(held.queries) == pytest.approx(3000 * share, rel=0.05)
    cell = {tuple(c) for c in np.floor(held.database.xyz[:, :2] / 25)}
    assert all(tuple(c) in cell for c in np.floor(held.queries.xyz[:, :2] / 25))
    again = hold_out(places, share=share, seed=1)
    np.testing.assert_array_equal(again.queries.path, held.queries.path)
    assert names(hold_out(places, share=share, seed=2).queries) != names(held.queries)


def test_a_photo_alone_in_its_cell_stays():
    places = Places.build(path=list("abcd"), easting=[0, 1, 100, 200], northing=0)
    for seed in range(5):
        held = hold_out(places, share=0.5, seed=seed)
        assert names(held.queries) < {"a", "b"}
        assert len(held.queries) == 1


def test_cut_outs_of_a_panorama_and_rows_of_a_photo_stay_together():
    panorama = [f"p{i // 12}" for i in range(120)]
    cut_outs = Places.build(path=[f"{i}.jpg" for i in range(120)], easting=0, northing=0, panorama=panorama)
    held = hold_out(cut_outs)
    assert not set(held.database.panorama) & set(held.queries.panorama)
    assert len(held.queries) % 12 == 0
    twice = Places.build(path=[f"{i // 2}.jpg" for i in range(40)], easting=0, northing=0)
    held = hold_out(twice)
    assert not names(held.database) & names(held.queries)


def test_what_cannot_be_split():
    with pytest.raises(PlacesError, match="1 photo cannot be split"):
        hold_out(shots([None]))
    with pytest.raises(PlacesError, match="none with two"):
        hold_out(shots([None, None], lat=[48.0, 49.0]))
    with pytest.raises(PlacesError, match="none with two"):
        hold_out(Places.build(path=["a", "a"], lat=1, lon=2))
    for share in (0, 1, -1, 7):
        with pytest.raises(PlacesError, match="share"):
            hold_out(shots([None] * 4), share=share)


def test_campus_by_day_and_by_night(campus):
    places = read_places(campus, strict=True)
    held = hold_out(places)
    with open(campus / "places.csv", newline="") as file:
        light = {os.path.basename(row["path"]): row["light"] for row in csv.DictReader(file)}
    assert {light[name] for name in names(held.database)} == {"day"}
    assert {light[name] for name in names(held.queries)} == {"night"}
    assert (len(held.database), len(held.queries)) == (694, 781)
    assert held.how.startswith("694 photos of 5 sessions by day are the database, 781 photos of 2 sessions by night")
    assert (np.diff(radius_neighbors(held.queries, held.database, 10).offsets) > 0).mean() > 0.5


def test_labels_alone():
    """Two cameras by day and by night, and one place more without a second photo."""
    times = [f"2025-06-0{day}T{hour:02d}:00:00Z" for day in (1, 2) for hour in (11, 12) for _ in "ab"]
    places = Places.build(path=[f"/{i}.jpg" for i in range(8)], place=list("abababab"), time=times)
    held = hold_out(places)
    assert set(held.database.path) | set(held.queries.path) == set(places.path)
    assert len(held.queries) == 4
    assert held.queries.time.min() > held.database.time.max()
    timeless = Places.build(path=[f"/{i}.jpg" for i in range(41)], place=["a"] * 20 + ["b"] * 20 + ["c"])
    held = hold_out(timeless, share=0.25)
    counts = {label: int((held.queries.place == label).sum()) for label in "abc"}
    assert counts == {"a": 5, "b": 5, "c": 0}
    assert not set(held.database.path) & set(held.queries.path)
    alone = Places.build(path=["/a.jpg", "/b.jpg"], place=["a", "b"])
    with pytest.raises(PlacesError, match="2 photos in 2 cells of 25 m, none with two"):
        hold_out(alone)


def test_rows_of_a_split_column():
    places = Places.build(path=list("abcde"), lat=1, lon=2, split=["Database", " query", "gallery", "train", ""])
    database, queries = split_rows(places)
    assert database.tolist() == [True, False, True, False, False]
    assert queries.tolist() == [False, True, False, False, False]
