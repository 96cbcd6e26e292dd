from __future__ import annotations

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.area import Area, boxes_of, quarters
from netvlad.maps.where import ALL, Where


def test_a_circle_lies_in_its_box():
    ((west, south, east, north),) = boxes_of(Where(near=(48.0, 2.0, 1000.0)))
    assert (north - south) * 111_000 == pytest.approx(2000, rel=0.02)
    assert (east - west) * 74_500 == pytest.approx(2000, rel=0.02)


@pytest.mark.parametrize(("lon", "wests"), [(179.999, [179.99, -180]), (-179.999, [179.99, -180])])
def test_a_circle_across_the_antimeridian_is_two_boxes(lon, wests):
    assert [box[0] for box in boxes_of(Where(near=(0.0, lon, 1000.0)))] == pytest.approx(wests, abs=0.01)


def test_a_circle_round_a_pole_is_a_cap():
    assert boxes_of(Where(near=(90.0, 12.0, 1000.0))) == [pytest.approx((-180, 89.99, 180, 90), abs=0.01)]


def test_quarters_make_up_the_box():
    parts = quarters((0, 0, 2, 2))
    assert sorted(parts) == [(0, 0, 1, 1), (0, 1, 1, 2), (1, 0, 2, 1), (1, 1, 2, 2)]


def test_no_area_is_refused():
    with pytest.raises(NetvladError):
        Area(ALL)
