"""Regions of a map, and which of them a question reaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netvlad.maps.shard import Shard, bounds_of, regions
from netvlad.maps.where import Spots, Where
from netvlad.places import Places

lats, lons = st.floats(-90, 90), st.floats(-180, 180)


def placed(lat, lon, **more) -> Places:
    return Places.build(path=[f"{i}.jpg" for i in range(len(lat))], lat=lat, lon=lon, **more)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(lats, lons), min_size=1, max_size=8), lats, lons, st.floats(1e-3, 2e7))
@example([(89.9, 180.0)], 89.9, 0.0, 23_000.0)  # over the pole
@example([(10.0, 179.999)], 10.0, -179.999, 250.0)  # over the antimeridian
@example([(0.0, 0.0)], 0.0, 0.0005, 60.0)
def test_a_region_is_never_missed(spots, lat, lon, metres):
    at = np.array(spots)
    one = Spots(at[:, 0], at[:, 1], np.full(len(at), np.datetime64("NaT"), "datetime64[s]"), planar=False)
    box = (at[:, 1].min(), at[:, 0].min(), at[:, 1].max(), at[:, 0].max())
    for where in (Where(near=(lat, lon, metres)), Where(bbox=(lon, min(lat, 0), at[0, 1], max(lat, 0)))):
        if where.mask(one).any():
            assert where.reaches(box)


@pytest.mark.parametrize(
    ("where", "reached"),
    [
        (Where(near=(31.0, 34.0, 10_000)), True),
        (Where(near=(31.0, 35.0, 10_000)), False),
        (Where(near=(32.0, 34.0, 10_000)), False),
        (Where(bbox=(33, 30, 34, 32)), True),
        (Where(bbox=(35, 30, 36, 32)), False),
        (Where(bbox=(170, 30, -170, 32)), False),
        (Where(bbox=(170, 30, 34, 32)), True),
        (Where(bbox=(33, 20, 35, 30)), False),
        (Where(near=(31.0, 34.0, 10_000), bbox=(35, 30, 36, 32)), False),
        (Where(after="2019"), True),
    ],
)
def test_a_region_elsewhere_is_not_asked(where, reached):
    assert where.reaches((33.95, 30.95, 34.05, 31.05)) is reached


@pytest.mark.parametrize("shards", [2, 3, 5, 8])
def test_regions_are_of_equal_numbers_and_compact(shards):
    rng = np.random.default_rng(0)
    places = placed(rng.uniform(45, 46, 400), rng.uniform(2, 9, 400))
    cut = regions(places, shards)
    assert sorted(np.concatenate(cut).tolist()) == list(range(400))
    assert max(map(len, cut)) - min(map(len, cut)) <= 2
    assert all((np.diff(rows) > 0).all() for rows in cut)
    boxes = [bounds_of(places[rows]) for rows in cut]
    assert sum((e - w) * (n - s) for w, s, e, n in boxes) <= 7.0  # no two overlap by much


def test_places_without_a_position_and_planar_ones_are_cut_as_well():
    nowhere = placed([np.nan] * 5, [np.nan] * 5, place=["a"] * 5)
    assert [len(rows) for rows in regions(nowhere, 2)] == [2, 3]
    assert bounds_of(nowhere) is None
    planar = Places.build(path=["a", "b", "c", "d"], easting=[0.0, 900, 10, 910], northing=[0.0, 1, 2, 3])
    assert [rows.tolist() for rows in regions(planar, 2)] == [[0, 2], [1, 3]]
    assert bounds_of(planar) is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../other.vpr"},
        {"name": ".."},
        {"photos": -1},
        {"version": "1"},
        {"bounds": [1, 2, 3]},
        {"bounds": [2, 0, 1, 1]},
        {"bounds": [0, 0, float("nan"), 1]},
        {"map_id": None},
    ],
)
def test_a_shard_that_cannot_be_is_refused(change):
    shard = Shard("shard-0.vpr", "id", 3, 7, (1.0, 2.0, 3.0, 4.0))
    assert Shard.from_dict(shard.to_dict()) == shard
    with pytest.raises(ValueError, match="shard"):
        Shard.from_dict({**shard.to_dict(), **change})
