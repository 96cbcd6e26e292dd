from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.mesh import Mesh, Textures
from netvlad.town.plan import Lot, Plan, draw_plan
from netvlad.town.transient_objects import add_transient_objects


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Streets wide enough to park in."""
    for seed in range(50):
        plan = draw_plan(np.random.default_rng(seed), 2, 2)
        if all(s.kerb > 3.5 for s in plan.streets):
            return plan
    raise AssertionError("no seed has wide streets only")


def dressed(plan: Plan, seed: int = 0, busy: float = 0.0) -> Mesh:
    mesh = Mesh()
    add_transient_objects(plan, mesh, Textures(), np.random.default_rng(seed), busy)
    return mesh


def points(mesh: Mesh) -> np.ndarray:
    return np.concatenate(mesh.corners).reshape(-1, 3)


def bare(plan: Plan) -> Plan:
    """Its streets alone."""
    return Plan(streets=plan.streets, low=plan.low, high=plan.high)


def test_cars_are_parked_along_the_kerb_and_off_crossings(plan):
    found = points(dressed(bare(plan)))
    assert len(found) > 1000
    assert found[:, 2].min() >= -1e-4
    assert 1.3 < found[:, 2].max() < 1.8
    home = np.zeros(len(found), int)
    for street in plan.streets:
        away = np.abs((found[:, :2] - street.start) @ street.right)
        # a lane stays free in the middle, and nothing stands on the pavement
        home += (away < street.kerb + 0.05) & (away > street.kerb - 2.3)
        assert not ((away < street.kerb - 2.3) & (away < 1.0)).any()
    assert (home == 1).all()


def test_no_cars_are_parked_in_narrow_streets():
    for seed in range(50):
        plan = draw_plan(np.random.default_rng(seed), 1, 1)
        if all(s.kerb < 3.5 for s in plan.streets):
            break
    assert not dressed(bare(plan)).corners


def test_busy_streets_have_people_on_the_pavement_and_cars_in_the_other_lane(plan):
    quiet, busy = (points(dressed(bare(plan), busy=busy)) for busy in (0.0, 0.9))
    assert len(busy) > 1.3 * len(quiet)
    person = busy[busy[:, 2] > 1.78]  # taller than any car
    assert len(person)
    assert person[:, 2].max() < 2.1
    for spot in person:
        sides = [abs(float((spot[:2] - s.start) @ s.right)) - s.kerb for s in plan.streets]
        assert any(0.2 < side < 4 for side in sides)


def test_oncoming_cars_keep_to_their_lane(plan):
    street = plan.streets[0]
    only = Plan(streets=[street], low=plan.low, high=plan.high)
    for seed in range(5):
        mesh = dressed(only, seed, busy=2.0)
        emission = np.array([kind[5] for kind in mesh.materials])[np.concatenate(mesh.material)]
        front, rear = (np.concatenate(mesh.corners)[emission == of].reshape(-1, 3)[:, :2] for of in (5.0, 1.5))
        assert len(front) == len(rear) > 0
        across = (front - street.start) @ street.right
        assert -street.kerb < across.min() < across.max() < 0  # the camera car is on the right
        assert (((rear - front) @ street.along).reshape(-1, 6).mean(axis=1) > 3.7).all()  # and drives towards them


def test_works_on_some_houses():
    lot = Lot(np.zeros(2), np.array([1.0, 0.0]), 10.0, 11.0, 3, 0, 0, False, False, (False, False), 1)
    scaffold = hoarding = none = 0
    for seed in range(200):
        mesh = dressed(Plan(lots=[lot]), seed)
        if not mesh.corners:
            none += 1
            continue
        found = points(mesh)
        assert (found[:, 1].min() > -1.6, found[:, 1].max() < 0) == (True, True)  # before the front, which faces -y
        assert -0.2 < found[:, 0].min() < found[:, 0].max() < 10.2
        if found[:, 2].max() > 3:
            scaffold += 1
            assert lot.height + 0.6 <= found[:, 2].max() < lot.height + 1.8  # nets and rails reach above the eaves
        else:
            hoarding += 1
            assert found[:, 2].max() == pytest.approx(2.4)
    assert (3 < scaffold < 25, 1 < hoarding < 20, none > 160) == (True, True, True)


def test_each_day_another(plan):
    one, same, other = (points(dressed(plan, seed, busy=0.5)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape
