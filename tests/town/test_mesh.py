from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.mesh import LEAF, LEVELS, LINEAR, Mesh, Textures, axes, linear


def decoded(value: int) -> float:
    """sRGB, from IEC 61966-2-1."""
    v = value / 255
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def halved(image: np.ndarray) -> np.ndarray:
    """Half as large, by a loop over pixels: mean colours, the code of the first."""
    h, w = -(-image.shape[0] // 2), -(-image.shape[1] // 2)
    out = np.zeros((h, w, 4), np.uint8)
    for y in range(h):
        for x in range(w):
            rows = [2 * y, min(2 * y + 1, image.shape[0] - 1)]
            columns = [2 * x, min(2 * x + 1, image.shape[1] - 1)]
            four = image[np.ix_(rows, columns)].astype(float)
            out[y, x, :3] = np.floor(four[..., :3].mean(axis=(0, 1)) + 0.5)
            out[y, x, 3] = image[rows[0], columns[0], 3]
    return out


def bilinear(image: np.ndarray, u: float, v: float) -> tuple[np.ndarray, int]:
    """Colour and code at u, v of one level of a texture, v upwards."""
    height, width = image.shape[:2]
    x = min(max(u * width - 0.5, 0), width - 1)
    y = min(max((1 - v) * height - 0.5, 0), height - 1)
    total, codes = np.zeros(3), {}
    for i in (int(y), min(int(y) + 1, height - 1)):
        for j in (int(x), min(int(x) + 1, width - 1)):
            weight = max(0.0, 1 - abs(x - j)) * max(0.0, 1 - abs(y - i))
            if (i, j) not in codes:  # at a border both neighbours are the same
                total += weight * np.array([decoded(c) for c in image[i, j, :3]])
            codes[i, j] = weight
    nearest = max(codes, key=codes.get)
    return total, int(image[nearest][3])


@pytest.fixture
def painted():
    """Two textures, the second of odd sides, and their images."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((8, 16, 4), (13, 5, 4))]
    textures = Textures()
    assert [textures.add(image) for image in images] == [0, 1]
    textures.freeze()
    return textures, images


def test_linear_light():
    np.testing.assert_allclose(LINEAR, [decoded(v) for v in range(256)], rtol=1e-5)
    np.testing.assert_allclose(linear((0, 128, 255)), [0, 0.21586, 1], atol=1e-5)


@pytest.mark.parametrize("texels", [0.1, 1.0, 1.6, 1.7, 3.2, 3.3, 50.0, 1e6])
def test_a_look_is_bilinear_on_the_level_that_fits(painted, texels):
    textures, images = painted
    level = min(max(int(np.floor(np.log2(max(texels, 1)) + 0.3)), 0), LEVELS - 1)
    assert {1.6: 0, 1.7: 1, 3.2: 1, 3.3: 2}.get(texels, level) == level  # it changes at 2 ** (n + 0.7)
    rng = np.random.default_rng(1)
    uv = np.concatenate([rng.random((60, 2)), [[0, 0], [1, 1], [0, 1], [1, 0], [0.5, 0.5]]])
    for number, image in enumerate(images):
        for _ in range(level):
            image = halved(image)
        colour, code = textures.sample(np.full(len(uv), number), uv[:, 0], uv[:, 1], np.full(len(uv), texels))
        assert colour.dtype == np.float32
        for i, (u, v) in enumerate(uv):
            wanted, wanted_code = bilinear(image, u, v)
            np.testing.assert_allclose(colour[i], wanted, atol=2e-5)
            if (u, v) != (0.5, 0.5):  # as near to each of four
                assert code[i] == wanted_code


def test_v_runs_upwards_and_u_to_the_right():
    image = np.zeros((4, 4, 4), np.uint8)
    image[0, 3] = (255, 0, 0, 7)  # upper right
    image[3, 0] = (0, 255, 0, 9)  # lower left
    textures = Textures()
    textures.add(image)
    textures.freeze()
    colour, code = textures.sample(np.zeros(2, int), np.array([0.95, 0.05]), np.array([0.95, 0.05]), np.ones(2))
    np.testing.assert_array_equal(colour, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(code, [7, 9])


def test_many_textures_at_once_and_none():
    textures = Textures()
    textures.freeze()
    assert textures.pixels.shape == (0, 4)
    rng = np.random.default_rng(2)
    for value in (10, 90, 200):
        textures.add(np.full((3, 4, 4), value, np.uint8))
    textures.freeze()
    which = rng.integers(0, 3, 50)
    colour, code = textures.sample(which, rng.random(50), rng.random(50), rng.uniform(1, 60, 50))
    np.testing.assert_array_equal(code, np.array([10, 90, 200])[which])
    np.testing.assert_allclose(colour[:, 1], LINEAR[[10, 90, 200]][which], rtol=1e-6)


def test_copies_leave_the_first_alone():
    textures, mesh = Textures(), Mesh()
    textures.add(np.zeros((2, 2, 4), np.uint8))
    mesh.quad((0, 0, 0), (1, 0, 0), (0, 0, 1), mesh.add_material())
    more, larger = textures.copy(), mesh.copy()
    assert more.add(np.ones((2, 2, 4), np.uint8)) == 1
    larger.quad((0, 0, 0), (1, 0, 0), (0, 0, 1), larger.add_material())
    textures.freeze()
    assert len(textures.shape) == 1
    assert (len(mesh.corners), len(mesh.materials), len(larger.corners), len(larger.materials)) == (1, 1, 2, 2)


def test_a_surface():
    mesh = Mesh()
    assert mesh.add_material((255, 0, 0)) == 0
    assert mesh.add_material(texture=4, kind=LEAF, emission=2.0, size=(3.0, 5.0)) == 1
    assert mesh.materials[0] == (1, 0, 0, -1, 0, 0.0, 1.0, 1.0)
    assert mesh.materials[1][3:] == (4, LEAF, 2.0, 3.0, 5.0)


def test_a_quad_runs_left_to_right_as_seen_from_outside():
    mesh = Mesh()
    mesh.quad((1, 2, 3), (4, 0, 0), (0, 0, 5), 6)
    corners, uv = mesh.corners[0].reshape(-1, 3), mesh.uv[0].reshape(-1, 2)
    assert mesh.material[0].tolist() == [6, 6]
    for corner, at in zip(corners, uv, strict=True):
        np.testing.assert_array_equal(corner, [1 + 4 * at[0], 2, 3 + 5 * at[1]])
    assert {tuple(at) for at in uv} == {(0, 0), (1, 0), (1, 1), (0, 1)}
    assert [tuple(n) for n in normals(mesh)] == [(0, -1, 0), (0, -1, 0)]  # towards who has +x to the right


def normals(mesh: Mesh) -> np.ndarray:
    corners = np.concatenate(mesh.corners).astype(float)
    n = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.round(n / np.linalg.norm(n, axis=1, keepdims=True), 6) + 0.0


@pytest.mark.parametrize("heading", [0.0, 90.0, 30.0])
def test_a_box_looks_outwards(heading):
    mesh = Mesh()
    mesh.box((10, 20, 1), (2, 6, 3), heading, 0, top=1)
    corners = np.concatenate(mesh.corners).astype(float)
    assert np.concatenate(mesh.material).tolist() == [0] * 8 + [1] * 2  # no floor
    h = np.radians(heading)
    away = corners - [10, 20, 1]
    along = away[..., 0] * np.sin(h) + away[..., 1] * np.cos(h)
    across = away[..., 0] * np.cos(h) - away[..., 1] * np.sin(h)
    np.testing.assert_allclose(np.abs(along), 3, atol=1e-5)
    np.testing.assert_allclose(np.abs(across), 1, atol=1e-5)
    assert set(np.round(away[..., 2].ravel(), 5)) == {0, 3}
    outwards = corners.mean(axis=1) - [10, 20, 2.5]
    assert (np.einsum("ij,ij->i", normals(mesh), outwards) > 0).all()
    # each side is painted upright, from the left to the right of who stands before it
    uv = np.concatenate(mesh.uv)[:8].reshape(-1, 2)
    right = np.cross([0, 0, 1], np.repeat(normals(mesh)[:8], 3, axis=0))
    points = corners[:8].reshape(-1, 3)
    np.testing.assert_array_equal(uv[:, 1], points[:, 2] > 2)
    np.testing.assert_array_equal(uv[:, 0], np.einsum("ij,ij->i", points - [10, 20, 0], right) > 0)


def test_axes():
    for heading, right, along in ((0, (1, 0, 0), (0, 1, 0)), (90, (0, -1, 0), (1, 0, 0)), (225, None, None)):
        a, b = axes(heading)
        if right:
            np.testing.assert_allclose([a, b], [right, along], atol=1e-12)
        np.testing.assert_allclose(np.cross(a, b), [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(("foot", "head"), [((1, 2, 3), (1, 2, 8)), ((0, 0, 0), (3, 4, 0)), ((0, 0, 1), (1, 1, 2))])
def test_a_tube(foot, head):
    mesh = Mesh()
    mesh.tube(foot, head, 0.5, 0, tip=0.2, sides=7)
    corners = np.concatenate(mesh.corners).astype(float)
    assert corners.shape == (14, 3, 3)
    axis = np.subtract(head, foot) / np.linalg.norm(np.subtract(head, foot))
    away = corners - foot
    along = away @ axis
    radius = np.linalg.norm(away - along[..., None] * axis, axis=-1)
    length = np.linalg.norm(np.subtract(head, foot))
    assert set(np.round(along.ravel() / length, 5)) == {0, 1}
    np.testing.assert_allclose(radius, np.where(along > length / 2, 0.2, 0.5), atol=1e-5)
    # closed all round: each edge along the tube belongs to two triangles
    middle = corners.mean(axis=1) - foot
    outwards = middle - (middle @ axis)[:, None] * axis
    facing = np.einsum("ij,ij->i", normals(mesh), outwards)
    assert (facing > 0).all() or (facing < 0).all()
