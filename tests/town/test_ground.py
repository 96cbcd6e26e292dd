from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.ground import SCALE, paint_ground
from netvlad.town.plan import Lot, Plan, Street

HALF = 6.0
KERB = 3.0


@pytest.fixture(scope="module")
def plan() -> Plan:
    """One street along y at x = 20, one along x at y = 15, a park and a house: nothing is symmetric."""
    low, high = np.zeros(2), np.array([50.0, 40.0])
    north = Street(np.array([20.0, 0.0]), np.array([20.0, 40.0]), KERB, HALF, False)
    east = Street(np.array([0.0, 15.0]), np.array([50.0, 15.0]), KERB, HALF, False)
    house = Lot(
        np.array([30.0, 25.0]), np.array([1.0, 0.0]), 10.0, 11.0, 3, 0, 0, False, False, (False, False), 1
    )  # back is up
    return Plan(streets=[north, east], lots=[house], parks=[(0.0, 22.0, 12.0, 40.0)], low=low, high=high)


@pytest.fixture(scope="module")
def image(plan) -> np.ndarray:
    return paint_ground(plan, np.random.default_rng(0))


def mean(image: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Mean colour of a rectangle in metres, y upwards."""
    height = image.shape[0]
    part = image[round(height - y1 * SCALE) : round(height - y0 * SCALE), round(x0 * SCALE) : round(x1 * SCALE), :3]
    return part.reshape(-1, 3).mean(axis=0)


def test_its_size(image):
    assert (image.shape, image.dtype) == ((40 * SCALE, 50 * SCALE, 4), np.uint8)
    assert not image[..., 3].any()


def test_each_thing_is_painted_where_it_is(image):
    green = mean(image, 1, 23, 4, 29)
    assert green[1] > green[0] + 10 > green[2] + 20  # grass
    path = mean(image, 5, 23, 7, 28)
    assert path[0] > green[0] + 40  # of gravel, through the middle
    tar = mean(image, 40, 15.5, 49, 17.4)
    slab = mean(image, 40, 18.5, 49, 20.5)
    np.testing.assert_allclose(tar, tar.mean(), atol=4)
    assert 50 < tar.mean() < 110 < 130 < slab.mean() < 190
    np.testing.assert_allclose(mean(image, 21.5, 28, 22.5, 39).mean(), tar.mean(), atol=25)  # the other street
    yard = mean(image, 42, 2, 49, 7)
    assert yard[0] > yard[1] > yard[2]
    assert 70 < yard.mean() < 120


def test_it_is_darker_at_the_foot_of_a_wall(image):
    assert mean(image, 32, 24.5, 38, 24.9).mean() < 0.85 * mean(image, 32, 21.2, 38, 22).mean()


def test_zebras_before_the_crossing(image):
    def stripes(x0, y0, x1, y1) -> float:
        """Share of white paint."""
        height = image.shape[0]
        part = image[round(height - y1 * SCALE) : round(height - y0 * SCALE), round(x0 * SCALE) : round(x1 * SCALE)]
        return float((part[..., :3].min(axis=-1) > 175).mean())

    for y0 in (15 - HALF - 2.5, 15 + HALF + 0.3):  # across the street along y, before and behind the other
        assert 0.3 < stripes(17.5, y0, 22.5, y0 + 2.0) < 0.7
    for x0 in (20 - HALF - 2.5, 20 + HALF + 0.3):
        assert 0.3 < stripes(x0, 12.5, x0 + 2.0, 17.5) < 0.7
    assert stripes(17.5, 13, 22.5, 17) < 0.1  # not on the crossing itself


def test_the_seed_decides(plan, image):
    np.testing.assert_array_equal(image, paint_ground(plan, np.random.default_rng(0)))
    assert (image != paint_ground(plan, np.random.default_rng(1))).any()
