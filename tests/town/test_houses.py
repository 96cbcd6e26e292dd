from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvlad.town.houses import SPILL, build_houses
from netvlad.town.mesh import Mesh, Textures
from netvlad.town.plan import Lot, Plan
from netvlad.town.styles import STOREY

FRONT = Lot(np.array([10.0, 20.0]), np.array([0.0, -1.0]), 9.0, 11.0, 3, 0, 0, True, False, (True, False), 5)
# its front runs from (10, 20) to (10, 11) and is seen from the west: its back is (1, 0)


def built(*lots: Lot) -> tuple[Mesh, Textures, list]:
    mesh, textures = Mesh(), Textures()
    shops = build_houses(Plan(lots=list(lots)), mesh, textures)
    textures.freeze()
    return mesh, textures, shops


def walls(mesh: Mesh) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Texture, middle and normal of the first four quads: a house's walls."""
    out = []
    for corners, material in list(zip(mesh.corners, mesh.material, strict=True))[:4]:
        normal = np.cross(corners[0, 1] - corners[0, 0], corners[0, 2] - corners[0, 0])
        out.append((mesh.materials[material[0]][3], corners[0, [0, 2]].mean(axis=0), normal / np.linalg.norm(normal)))
    return out


def test_four_walls_look_outwards():
    mesh, textures, _ = built(FRONT)
    middle = np.array([15.5, 15.5, FRONT.height / 2])
    seen = walls(mesh)
    for _, at, normal in seen:
        np.testing.assert_allclose((at - middle) / np.linalg.norm(at - middle), normal, atol=1e-5)
    assert [tuple(np.round(normal).astype(int)) for _, _, normal in seen] == [
        (-1, 0, 0),  # the front
        (0, 1, 0),  # its left side, as seen from the street
        (0, -1, 0),
        (1, 0, 0),
    ]
    front, left, right, back = (texture for texture, _, _ in seen)
    assert front != left != right  # a corner house has windows on that side
    assert right == back  # blind walls share a texture
    codes = [
        np.unique(textures.pixels[start : start + w * h, 3]) for start, w, h in textures.shape[[front, left, right], 0]
    ]
    assert [len(c) > 1 for c in codes] == [True, True, False]


def test_a_front_stands_as_high_and_wide_as_its_lot():
    mesh, _, _ = built(FRONT)
    np.testing.assert_array_equal(mesh.corners[0].reshape(-1, 3).min(axis=0), [10, 11, 0])
    np.testing.assert_allclose(mesh.corners[0].reshape(-1, 3).max(axis=0), [10, 20, 3 * STOREY + 0.6], rtol=1e-6)
    assert mesh.materials[mesh.material[0][0]][6:] == (9.0, FRONT.height)
    corners, uv = mesh.corners[0].reshape(-1, 3), mesh.uv[0].reshape(-1, 2)
    np.testing.assert_allclose(uv[:, 0], (20 - corners[:, 1]) / 9, atol=1e-6)  # from the left, at y = 20


def test_light_falls_out_of_shops():
    assert build_houses(Plan(lots=[FRONT]), Mesh(), Textures()) == [pytest.approx((8.8, 15.5))]
    assert built(replace(FRONT, shop=False))[2] == []
    assert 2 < SPILL < 3


@pytest.mark.parametrize("gabled", [False, True])
def test_a_house_stays_on_its_lot_but_for_what_hangs_out(gabled):
    for seed in range(12):
        mesh, _, _ = built(replace(FRONT, gabled=gabled, seed=seed))
        points = np.concatenate(mesh.corners).reshape(-1, 3)
        assert np.isfinite(points).all()
        assert points[:, 2].min() >= 0
        assert points[:, 0].min() >= 10 - 1.5
        assert points[:, 0].max() <= 21 + 0.5
        assert points[:, 1].min() >= 11 - 1.6
        assert points[:, 1].max() <= 20 + 1.6
        low = points[points[:, 2] < 2.05]
        assert low[:, 0].min() >= 10 - 0.2  # people walk there
        top = points[:, 2].max() - FRONT.height
        assert (3 < top < 9) if gabled else (0.4 < top < 6)


def test_a_roof_covers_its_house():
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    for gabled in (False, True):
        mesh, _, _ = built(replace(FRONT, gabled=gabled))
        scene = EmbreeScene()
        TriangleMesh(scene, np.concatenate(mesh.corners))
        x, y = (v.ravel() for v in np.meshgrid(np.linspace(10.1, 20.9, 9), np.linspace(11.1, 19.9, 9)))
        above = np.stack([x, y, np.full(81, 60.0)], 1).astype(np.float32)
        down = np.tile(np.float32([0, 0, -1]), (81, 1))
        height = 60 - scene.run(above, down, query="DISTANCE")
        assert (height > FRONT.height * 0.98).all()
        if gabled:  # the ridge runs along the front
            middle, edge = height.reshape(9, 9)[:, 4].min(), np.median(height.reshape(9, 9)[:, 0])
            assert middle > edge + 2.5


def test_each_seed_another_house():
    one, same, other = (np.concatenate(built(replace(FRONT, seed=seed))[1].pixels, axis=None) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()
