from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.furniture import POST, grow_leaves, place_furniture, place_lamps, plant_trees
from netvlad.town.mesh import LEAF, Mesh, Textures
from netvlad.town.plan import Plan, draw_plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return draw_plan(np.random.default_rng(1), 2, 2)


def points(mesh: Mesh) -> np.ndarray:
    return np.concatenate(mesh.corners).reshape(-1, 3)


def test_a_lamp_hangs_over_the_road():
    mesh = Mesh()
    lights = place_lamps(Plan(lamps=[(3.0, 4.0, -1.0, 0.0), (8.0, 0.0, 0.0, 1.0)]), mesh)
    np.testing.assert_allclose(lights, [[1.9, 4, POST - 0.15], [8, 1.1, POST - 0.15]])
    found = points(mesh)
    assert found[:, 2].min() == pytest.approx(0)
    assert POST < found[:, 2].max() < POST + 0.3
    kinds = np.array([kind[5] for kind in mesh.materials])
    bulbs = np.concatenate(mesh.corners)[kinds[np.concatenate(mesh.material)] > 1]
    for light in lights:  # it shines out below its hood, which must not shade it
        assert np.linalg.norm(bulbs.mean(axis=1) - light, axis=1).min() < 0.4
    assert bulbs[..., 2].min() > lights[0, 2]
    assert place_lamps(Plan(), Mesh()).shape == (0, 3)


def test_lamps_are_as_many_as_planned(plan):
    lights = place_lamps(plan, Mesh())
    assert lights.shape == (len(plan.lamps), 3)
    for street in plan.streets:  # each is nearer to the middle of its street than its post
        away = (lights[:, :2] - street.start) @ street.right
        post = (np.array(plan.lamps)[:, :2] - street.start) @ street.right
        mine = np.abs(post) < street.half
        assert (
            np.abs(away[mine & (np.abs(post) > street.kerb)]) < np.abs(post[mine & (np.abs(post) > street.kerb)])
        ).all()


def test_furniture_stands_on_the_pavement(plan):
    mesh, textures = Mesh(), Textures()
    place_furniture(plan, mesh, textures, np.random.default_rng(0))
    found = points(mesh)
    assert len(found) > 100
    assert (found[:, 2].min(), found[:, 2].max() < 3.4) == (pytest.approx(0), True)
    nearest = np.full(len(found), np.inf)
    for street in plan.streets:
        away = np.abs((found[:, :2] - street.start) @ street.right)
        nearest = np.minimum(nearest, np.abs(away - street.kerb - 0.55))
        assert away.min() > street.kerb - 0.25  # nothing to drive into
    assert nearest.max() < 1.0


def test_trees_are_as_high_as_planned():
    for height in (5.0, 10.0):
        mesh = Mesh()
        tips = plant_trees(Plan(trees=[(7.0, -3.0, height)]), mesh, np.random.default_rng(0))
        found = points(mesh)
        assert tips.shape == (6 * 4 * 2, 3)
        assert 0.6 * height < tips[:, 2].max() < 1.3 * height
        assert (tips[:, 2] > 0.25 * height).all()
        assert np.hypot(*(tips[:, :2] - (7, -3)).T).max() < height
        foot = found[found[:, 2] < 0.01]
        np.testing.assert_allclose(foot.mean(axis=0), (7, -3, 0), atol=0.1)
    assert plant_trees(Plan(), Mesh(), np.random.default_rng(0)).shape == (0, 3)


def leaves(season: str, tips=None) -> Mesh:
    mesh = Mesh()
    tips = np.array([[0, 0, 5.0], [3, 0, 6.0]]) if tips is None else tips
    grow_leaves(tips, season, mesh, np.random.default_rng(0))
    return mesh


def test_leaves_by_season():
    assert leaves("winter").corners == []
    assert leaves("summer", np.zeros((0, 3))).corners == []
    count = {season: len(points(leaves(season))) // 6 for season in ("spring", "summer", "autumn")}
    assert count == {"spring": 32, "summer": 52, "autumn": 28}  # two triangles each
    green, red = (np.mean([k[:3] for k in leaves(season).materials], axis=0) for season in ("summer", "autumn"))
    assert green[1] > max(green[0], green[2])
    assert red[0] > red[1] > red[2]


def test_leaves_are_small_cards_around_the_tips():
    mesh = leaves("summer")
    assert {kind[4] for kind in mesh.materials} == {LEAF}
    assert np.concatenate(mesh.material).max() < len(mesh.materials)
    cards = np.concatenate(mesh.corners).reshape(-1, 2, 3, 3)
    centres = cards.reshape(-1, 6, 3).mean(axis=1)
    tips = np.array([[0, 0, 5.0], [3, 0, 6.0]])
    assert np.linalg.norm(centres[:, None] - tips, axis=-1).min(axis=1).max() < 2.2
    sides = np.linalg.norm(cards[:, 0, 1] - cards[:, 0, 0], axis=1)
    assert (sides.min() >= 0.16 - 1e-4, sides.max() <= 0.34 + 1e-4) == (True, True)
    np.testing.assert_allclose(cards[:, 0, 2], cards[:, 1, 1])  # its two halves meet
