from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.quartering import Quartering

BOX = (2.3, 48.8, 2.4, 48.9)


class Service:
    """n items at random, of which a box answers the first `most` in the given order; `asked` counts."""

    def __init__(self, n, most, *, order="middle", seed=0):
        self.at = np.random.default_rng(seed).uniform(BOX[:2], BOX[2:], (n, 2))
        self.most, self.order, self.asked, self.strangers = most, order, [], []

    def __call__(self, box):
        self.asked.append(box)
        west, south, east, north = box
        lon, lat = self.at.T
        rows = np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))
        if self.order == "middle":
            rows = rows[np.argsort(np.hypot(lon[rows] - (west + east) / 2, lat[rows] - (south + north) / 2))]
        return [{"id": int(row)} for row in rows[: self.most]] + self.strangers

    def spot(self, item):
        return tuple(self.at[item["id"]]) if item["id"] in range(len(self.at)) else (math.nan, math.nan)

    def found(self, limit, box=BOX, **options):
        asking = Quartering(self, lambda item: str(item["id"]), self.spot, limit, **options)
        return {item["id"] for item in asking.items(box)}


@pytest.mark.parametrize("order", ["middle", "id"])
def test_full_boxes_are_quartered(order):
    assert len(Service(500, 20, order=order).found(20)) == 500


@pytest.mark.parametrize("most", [15, 40])
def test_a_server_that_answers_with_less_than_it_was_asked_for_is_found_out(most):
    assert len(Service(500, most).found(1000)) == 500


def test_a_lower_limit_than_that_of_the_first_box_is_found_out():
    service = Service(300, 60)
    asking = Quartering(service, lambda item: str(item["id"]), service.spot, 1000)
    assert list(asking.items((0.0, 0.0, 1.0, 1.0))) == []
    service.at[:11] = (0.5, 0.5)
    assert len(list(asking.items((0.0, 0.0, 1.0, 1.0)))) == 11
    assert {item["id"] for item in asking.items(BOX)} == set(range(11, 300))


def test_one_that_came_between_two_answers_costs_no_flood_of_requests():
    service = Service(5, 1000)
    service.found(1000)
    assert len(service.asked) == 1


def test_boxes_that_are_too_large_are_not_asked():
    service = Service(100, 1000)
    assert len(service.found(1000, largest=0.003)) == 100
    assert max((e - w) * (n - s) for w, s, e, n in service.asked) < 0.003


def test_more_at_one_point_than_an_answer_holds_end():
    service = Service(40, 20)
    service.at[:] = (2.333, 48.855)
    assert len(service.found(20)) == 20
    assert len(service.asked) < 100


def test_a_service_that_does_not_keep_to_the_box_is_refused():
    service = Service(500, 1000)
    with pytest.raises(NetvladError):
        list(Quartering(lambda box: service(BOX)[:50], str, service.spot, 50).items(BOX))
    assert len(service.asked) < 300


def test_damaged_items_count_as_inside():
    service = Service(100, 20)
    service.strangers = [{"id": -1}]
    assert service.found(20) == {*range(100), -1}


def test_many_items_are_found_with_few_requests_in_bounded_memory():
    service = Service(20_000, 1000, order="id")
    asking = Quartering(service, lambda item: str(item["id"]), service.spot, 1000)
    tracemalloc.start()
    assert len({item["id"] for item in asking.items(BOX)}) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert len(service.asked) < 20_000 / 1000 * 12
