from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.training.config import Config, Mining
from netvlad.training.place_sampler import PlaceSampler


def table(at, days, heading=None) -> Places:
    return Places.build(
        path=[f"{i}.jpg" for i in range(len(at))],
        easting=np.asarray(at, float),
        northing=0.0,
        time=[f"2025-05-{day:02d}T12:00:00" for day in days],
        heading=heading,
    )


def config(**options) -> Config:
    return Config(loss="multi-similarity", **options)


def test_places_are_seen_on_several_dates():
    at = [0, 3, 6, 100, 104, 200, 300, 301]
    classes = PlaceSampler(table(at, [1, 2, 3, 1, 2, 1, 1, 1]), config())
    # 200 was seen once; 300 and 301 on one drive are two places, each seen once
    assert [group.tolist() for group in classes.members] == [[0, 1, 2], [3, 4]]
    assert (len(classes), classes.skipped) == (2, 3)
    for epoch in (1, 2, 3):
        drawn = classes.photos(0, epoch)
        assert sorted(drawn) == [0, 1, 2]
    assert len(PlaceSampler(table(at, [1, 2, 3, 1, 2, 1, 1, 1]), config(per_place=2)).photos(0, 1)) == 2


def test_headings_share_a_place_by_sector():
    at, days = [0] * 4 + [3] * 4 + [500, 503], [1] * 4 + [2] * 4 + [1, 2]
    heading = [10, 100, 190, 280, 20, 110, 200, np.nan, np.nan, np.nan]
    classes = PlaceSampler(table(at, days, heading), config(sector=90))
    assert sorted(group.tolist() for group in classes.members) == [[0, 4], [1, 5], [2, 6], [8, 9]]
    assert classes.skipped == 2  # the fourth heading was seen once only with a heading


def test_a_batch_holds_places_that_are_apart():
    rng = np.random.default_rng(0)
    spots = np.repeat(rng.uniform(0, 1500, 60), 2)
    places = table(spots, [1, 2] * 60)
    classes = PlaceSampler(places, config(batch=6))
    centre = {i: places.easting[group[0]] for i, group in enumerate(classes.members)}
    for epoch in (1, 2):
        order = classes.order(epoch)
        assert sorted(order) == list(range(len(classes)))
        learnt = 0
        for start in range(0, len(order), 6):
            batch = order[start : start + 6].tolist()
            kept = classes.apart(batch)
            learnt += len(kept)
            assert all(abs(centre[a] - centre[b]) > 25 for a in kept for b in kept if a != b)
        assert learnt > 0.9 * len(classes)
    assert classes.order(1).tolist() != classes.order(2).tolist()
    assert classes.order(1).tolist() == PlaceSampler(places, config(batch=6)).order(1).tolist()


def test_too_few_places():
    with pytest.raises(PlacesError, match="no place has two of the 2 photos"):
        PlaceSampler(table([0, 100], [1, 1]), config())
    with pytest.raises(PlacesError, match="all 1 places with two photos or more lie within 35 m of each other"):
        PlaceSampler(table([0, 3, 100], [1, 2, 1]), config())
    with pytest.raises(PlacesError, match="all 2 places"):
        PlaceSampler(table([0, 1, 20, 21], [1, 2, 1, 2]), config())
    assert (
        len(
            PlaceSampler(
                table([0, 1, 20, 21], [1, 2, 1, 2]), config(mining=Mining(positive_radius=3, negative_radius=10))
            )
        )
        == 2
    )


def test_a_label_is_a_place():
    spots = table([0, 3, 500], [1, 2, 1])
    cameras = Places.build(path=["x1", "x2", "y1", "y2", "y3", "z"], place=["x", "x", "y", "y", "y", "z"])
    classes = PlaceSampler(Places.concat([cameras, spots]), config(batch=3))
    assert [group.tolist() for group in classes.members] == [[0, 1], [2, 3, 4], [6, 7]]
    assert classes.skipped == 2
    assert sorted(classes.apart(classes.order(1).tolist())) == [0, 1, 2]
    with pytest.raises(PlacesError, match="all 1 places"):
        PlaceSampler(cameras[:2], config())
    # a label that stands beside positions says which photos near each other look the same way
    views = Places.build(path=list("abcd"), easting=[0, 100, 1, 101], northing=0.0, place=list("ppqp"))
    members = PlaceSampler(Places.concat([views, cameras]), config()).members
    assert [group.tolist() for group in members[:2]] == [[0, 1, 3], [4, 5]]
