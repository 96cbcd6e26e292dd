from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

from netvlad.imagery.picture import Picture
from netvlad.imagery.thinning import thinned

DAY = "2023-05-01T10:00:"
ONE = Picture("panoramax", "", "a", 48.85, 2.35, 90.0, DAY + "00Z", 70.0, "CC0-1.0", "", "", "")
METRE = 1 / 111_200  # degrees of latitude


def moved(metres, **changes):
    return replace(ONE, id=f"b{metres}", lat=ONE.lat + metres * METRE, time=DAY + "09Z", **changes)


def left(*pictures, **options):
    return thinned(pictures, **options).tolist()


def test_nearly_equal_neighbours_go():
    assert left(ONE, moved(1), moved(2)) == [0]
    assert left(ONE, moved(2), moved(4)) == [0, 2]
    assert left(ONE, moved(1), metres=0) == [0, 1]


def test_another_heading_day_or_kind_stays():
    assert left(ONE, moved(1, heading=130.0)) == [0, 1]
    assert left(replace(ONE, heading=355.0), moved(1, heading=5.0)) == [0]
    assert left(ONE, replace(moved(1), time="2023-06-01T10:00:00Z")) == [0, 1]
    assert left(ONE, moved(1, fov=360.0)) == [0, 1]
    assert left(replace(ONE, heading=math.nan), moved(1, heading=math.nan)) == [0, 1]


def test_panoramas_see_all_round():
    assert left(replace(ONE, fov=360.0), moved(1, fov=360.0, heading=270.0)) == [0]


def test_what_is_held_stays():
    assert left(ONE, moved(1), held={"panoramax-b1"}) == [1]


def test_thousands_at_one_place_are_thinned_without_all_their_pairs():
    many = [moved(0, heading=float(i % 360)) for i in range(3000)]
    tracemalloc.start()
    assert len(left(*many)) == 18
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
