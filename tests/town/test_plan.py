from __future__ import annotations

from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest

from netvlad.town.plan import DEPTH, MARGIN, Lot, Plan, Street, draw_plan, on_crossing
from netvlad.town.styles import STOREY, STYLES

DRAWN = [(0, (1, 1)), (1, (2, 2)), (2, (3, 2)), (3, (3, 3)), (4, (1, 4)), (5, (2, 1))]


@pytest.fixture(scope="module", params=DRAWN, ids=str)
def plan(request) -> Plan:
    seed, shape = request.param
    return draw_plan(np.random.default_rng(seed), *shape)


def box(lot: Lot) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of a house, whose walls run along x and y."""
    corners = np.array(
        [lot.corner + a * lot.right * lot.width + b * lot.back * lot.depth for a in (0, 1) for b in (0, 1)]
    )
    assert sorted(np.abs(lot.right)) == [0, 1]
    return corners.min(axis=0), corners.max(axis=0)


def aside(street: Street, point) -> tuple[float, float]:
    """Metres along a street and to its right."""
    away = np.asarray(point) - street.start
    return float(away @ street.along), float(away @ street.right)


def streets_at(plan: Plan, point, slack: float = 0.0) -> list[Street]:
    """The streets whose whole width, pavements too, holds a point."""
    found = []
    for street in plan.streets:
        along, right = aside(street, point)
        if 0 <= along <= street.length and abs(right) <= street.half + slack:
            found.append(street)
    return found


def test_streets_cross_at_right_angles(plan):
    across = [s for s in plan.streets if s.heading == 0]
    along = [s for s in plan.streets if s.heading == 90]
    assert len(across) + len(along) == len(plan.streets)
    assert len(plan.crossings) == len(across) * len(along)
    for i, j in plan.crossings:
        one, other = plan.streets[i], plan.streets[j]
        crossing = np.array([one.start[0], other.start[1]])
        assert {id(s) for s in streets_at(plan, crossing)} == {id(one), id(other)}
    for street in plan.streets:
        side = int(street.heading == 0)
        np.testing.assert_allclose(street.length, (plan.high - plan.low)[side])
        assert street.kerb + 2.4 <= street.half <= street.kerb + 3.6
    for lines in (sorted(s.start[0] for s in across), sorted(s.start[1] for s in along)):
        assert all(52 <= gap <= 76 for gap in np.diff(lines))
    np.testing.assert_allclose(min(s.start[0] for s in across) - plan.low[0], MARGIN)
    np.testing.assert_allclose(plan.high[1] - max(s.start[1] for s in along), MARGIN)


def test_houses_do_not_overlap(plan):
    boxes = [box(lot) for lot in plan.lots]
    assert len(boxes) > 10
    for (low, high), (low2, high2) in combinations(boxes, 2):
        shared = np.minimum(high, high2) - np.maximum(low, low2)
        assert shared.min() < 1e-9


def test_houses_stand_on_no_street_and_in_no_park(plan):
    taken = [(np.minimum(s.start, s.end), np.maximum(s.start, s.end), s) for s in plan.streets]
    for lot in plan.lots:
        low, high = box(lot)
        assert (low >= plan.low - 1e-9).all()
        assert (high <= plan.high + 1e-9).all()
        for start, end, street in taken:
            wide = np.abs(street.right) * street.half
            assert (np.minimum(high, end + wide) - np.maximum(low, start - wide)).min() < 1e-9
        for x0, y0, x1, y1 in plan.parks:
            assert (np.minimum(high, (x1, y1)) - np.maximum(low, (x0, y0))).min() < 1e-9


def test_every_front_faces_a_street(plan):
    for lot in plan.lots:
        assert lot.width > 3
        np.testing.assert_allclose(lot.back, [-lot.right[1], lot.right[0]])
        for share in (0.01, 0.5, 0.99):
            before = lot.corner + lot.right * lot.width * share - lot.back  # a metre: on the pavement
            assert [s for s in streets_at(plan, before) if abs(s.along @ lot.right) > 0.9]
            assert not streets_at(plan, lot.corner + lot.right * lot.width * share + lot.back * 0.1)
        sides = lot.corner, lot.corner + lot.right * lot.width
        for corner, out, faces in zip(sides, (-lot.right, lot.right), lot.corners, strict=True):
            beside = corner + lot.back * lot.depth / 2 + out
            assert bool(streets_at(plan, beside)) == faces


def test_houses_follow_the_catalogue(plan):
    for lot in plan.lots:
        style = STYLES[lot.style]
        assert style.storeys[0] <= lot.storeys <= style.storeys[1]
        assert 0 <= lot.colour < len(style.walls)
        assert lot.height == pytest.approx(lot.storeys * STOREY + 0.6)
        assert DEPTH - 0.6 <= lot.depth <= DEPTH
        assert not lot.gabled or style.gabled


def test_lamps_and_trees_stand_off_the_roadway_and_out_of_houses(plan):
    assert plan.lamps
    boxes = [box(lot) for lot in plan.lots]
    for spot in [lamp[:2] for lamp in plan.lamps] + [tree[:2] for tree in plan.trees]:
        for street in plan.streets:
            along, right = aside(street, spot)
            assert abs(right) > street.kerb + 0.4 or not 0 <= along <= street.length
        assert not [1 for low, high in boxes if (low < spot).all() and (spot < high).all()]
    for x, y, dx, dy in plan.lamps:  # their arms reach over the road that they stand beside
        (street,) = streets_at(plan, (x, y))
        _, right = aside(street, (x, y))
        np.testing.assert_allclose((dx, dy), -np.sign(right) * street.right, atol=1e-9)
    for tree in plan.trees:
        assert 5 <= tree[2] <= 10


def test_parks_lie_between_streets():
    parks = [draw_plan(np.random.default_rng(seed), 3, 3).parks for seed in range(6)]
    assert all(len(park) == 1 for park in parks)
    assert not draw_plan(np.random.default_rng(0), 2, 2).parks  # its only inner block is built on
    plan = draw_plan(np.random.default_rng(0), 3, 3)
    x0, y0, x1, y1 = plan.parks[0]
    inside = [(x, y) for x, y, _ in plan.trees if x0 < x < x1 and y0 < y < y1]
    assert len(inside) >= round((x1 - x0) * (y1 - y0) / 90)
    for corner in ((x0, y0), (x0, y1), (x1, y0), (x1, y1)):
        assert len(streets_at(plan, corner, slack=1e-6)) == 2


def same(a: Plan, b: Plan) -> bool:
    return repr([getattr(a, f.name) for f in fields(Plan)]) == repr([getattr(b, f.name) for f in fields(Plan)])


def test_the_seed_decides():
    def drawn(seed):
        return draw_plan(np.random.default_rng(seed), 2, 3)

    assert same(drawn(5), drawn(5))
    assert not same(drawn(5), drawn(6))
    assert len({draw_plan(np.random.default_rng(seed), 1, 1).high[0] for seed in range(20)}) == 20


def test_a_street_by_hand():
    street = Street(np.array([1.0, 2.0]), np.array([1.0, 12.0]), 3.0, 6.0, True)
    np.testing.assert_array_equal(street.along, [0, 1])
    np.testing.assert_array_equal(street.right, [1, 0])
    assert (street.length, street.heading) == (10, 0)
    east = Street(np.array([-9.0, 7.0]), np.array([31.0, 7.0]), 4.0, 7.0, False)
    assert east.heading == 90
    np.testing.assert_array_equal(east.right, [0, -1])
    plan = Plan(streets=[street, east])
    assert on_crossing(plan, street, 5.0, 0.0)  # in the middle of the other
    assert not on_crossing(plan, street, 12.5, 0.0)  # 14.5 is 7.5 beyond its middle
    assert on_crossing(plan, street, 12.5, 1.0)
    assert not on_crossing(plan, east, 22.0, 5.9)  # 12 m from the other, whose half is 6
    assert on_crossing(plan, east, 22.0, 6.1)
