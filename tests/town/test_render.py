from __future__ import annotations

import sys

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.town.light import LAMP_COLOUR, SHOP_COLOUR
from netvlad.town.mesh import GROUND, Mesh, Textures
from netvlad.town.render import FAR, LAMP_RANGE, MAX_RADIANCE, Lights, Scene, embree

NO_SKYLINE = np.full(360, -91.0, np.float32)
NOTHING = np.zeros((0, 3))
NIGHT = "2021-06-21T21:48:00"


def level(mesh: Mesh, colour=(128, 128, 128), kind=GROUND, wide=2000.0) -> None:
    """The ground, at z = 0."""
    mesh.quad((-wide / 2, -wide / 2, 0), (wide, 0, 0), (0, wide, 0), mesh.add_material(colour, kind=kind))


def scene_of(mesh: Mesh, moment, lamps=NOTHING, shops=NOTHING, textures=None) -> Scene:
    textures = textures or Textures()
    textures.freeze()
    lights = Lights(np.asarray(lamps, float).reshape(-1, 3), np.asarray(shops, float).reshape(-1, 3))
    return Scene(mesh, textures, lights, moment, NO_SKYLINE)


def towards(origin, points) -> np.ndarray:
    away = np.asarray(points, float) - origin
    return away / np.linalg.norm(away, axis=-1, keepdims=True)


def without_haze(scene: Scene, origin, points) -> np.ndarray:
    """Light that leaves points, before the air takes its share: what `look` does to it, undone in float64."""
    rays = towards(origin, points)
    light, distance, _ = scene.radiance(np.asarray(origin, float), rays, 1e-4)
    keep = np.exp(-distance.astype(float) / scene.moment.haze)[:, None]
    flat = rays * (1, 1, 0.2) + (0, 0, 0.04)
    veil = scene.moment.sky(flat / np.linalg.norm(flat, axis=1, keepdims=True))
    return (light - veil * (1 - keep)) / keep


def test_without_embreex_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(NetvladError, match=r"needs embreex .*pip install 'netvlad\[town\]'"):
        embree()


def test_the_ground_is_as_far_as_its_angle_says(at):
    mesh = Mesh()
    level(mesh, wide=4000)
    scene = scene_of(mesh, at())
    down = np.radians(np.linspace(0.3, 90, 300))
    turn = np.random.default_rng(0).uniform(0, 2 * np.pi, 300)
    rays = np.stack([np.cos(down) * np.sin(turn), np.cos(down) * np.cos(turn), -np.sin(down)], axis=1)
    light, distance, material = scene.radiance(np.array([30.0, -40.0, 2.5]), rays, 1e-3)
    assert (light.shape, light.dtype, distance.dtype) == ((300, 3), np.float32, np.float32)
    np.testing.assert_allclose(distance, 2.5 / np.sin(down), rtol=1e-4)
    assert (material == 0).all()


def test_beyond_the_far_there_is_sky(at):
    mesh = Mesh()
    level(mesh, wide=4000)
    scene = scene_of(mesh, at())
    rays = towards((0, 0, 2.5), [(0, FAR - 10, 0), (0, FAR + 10, 0), (5, 0, 9)])
    light, distance, material = scene.radiance(np.array([0, 0, 2.5]), rays, 1e-3)
    assert np.isfinite(distance).tolist() == [True, False, False]
    assert material.tolist() == [0, -1, -1]
    np.testing.assert_allclose(light[1:], scene.moment.sky(rays[1:].astype(np.float32)), rtol=1e-5)


@pytest.mark.parametrize("weather", ["clear", "overcast"])
def test_light_on_the_ground_by_hand(at, weather):
    moment = at(weather=weather)
    mesh = Mesh()
    level(mesh, (188, 128, 64))
    albedo = np.array([0.502886, 0.215861, 0.051269])  # of sRGB 188, 128, 64
    sun, sky = moment.sunlight.astype(float), moment.skylight.astype(float)
    height = np.sin(np.radians(moment.elevation))
    wanted = albedo * (0.55 * sky + 0.16 * sky + 0.22 * sun * height + 2.6 * sun * height)
    found = without_haze(scene_of(mesh, moment), (0, 0, 3), [(1, 2, 0), (-20, 9, 0), (0, -70, 0)])
    np.testing.assert_allclose(found, np.broadcast_to(wanted, (3, 3)), rtol=2e-3)


def in_the_shadow(points: np.ndarray, sun: np.ndarray, low, high) -> np.ndarray:
    """Whether the way from points to the sun meets a box, by its slabs."""
    out = []
    for point in points:
        enter, leave = 0.0, np.inf
        for axis in range(3):
            ends = sorted([(low[axis] - point[axis]) / sun[axis], (high[axis] - point[axis]) / sun[axis]])
            enter, leave = max(enter, ends[0]), min(leave, ends[1])
        out.append(enter < leave)
    return np.array(out)


@pytest.mark.parametrize("time", ["2021-06-21T06:00:00", "2021-12-21T09:48:00", "2021-03-20T14:00:00"])
def test_a_shadow_falls_where_geometry_says(at, time):
    moment = at(time)
    low, high = np.array([-3, -2, 0.0]), np.array([3, 2, 5.0])
    mesh = Mesh()
    level(mesh)
    mesh.box((0, 0, 0), (6, 4, 5), 0.0, mesh.add_material())
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-16, 16, (3000, 2)), np.zeros((3000, 1))], axis=1)
    outside = (np.abs(points[:, :2]) > high[:2] + 0.1).any(axis=1)
    eye = np.array([0, 0, 40.0])
    points = points[outside]
    dark, wider = (in_the_shadow(points, moment.sun, low - d, high + d) for d in (-0.05, 0.05))
    clear = dark == wider  # those on the shadow's edge may fall either way
    light = without_haze(scene_of(mesh, moment), eye, points)
    hidden = scene_of(mesh, moment).radiance(eye, towards(eye, points), 1e-4)[2] != 0
    seen = clear & ~hidden
    assert (dark[seen].sum() > 20, (~dark[seen]).sum() > 500) == (True, True)
    lit, shaded = light[seen & ~dark], light[seen & dark]
    assert np.ptp(lit[:, 0]) < 0.01 * lit.mean()
    assert np.ptp(shaded[:, 0]) < 0.01 * lit.mean()
    more = 2.6 * moment.sunlight * moment.sun[2] * 0.215861
    np.testing.assert_allclose(lit.mean(axis=0) - shaded.mean(axis=0), more, rtol=0.01)


def test_both_sides_of_a_wall_are_seen(at):
    """Only the one towards the sun is lit by it; under clouds both are the same."""
    wall = (-5.0, 0, 0), (10, 0, 0), (0, 0, 6)
    for flip in (False, True):
        mesh = Mesh()
        at_, right, up = wall
        mesh.quad(at_, *((up, right) if flip else (right, up)), mesh.add_material((128, 128, 128)))
        south, north = (
            [without_haze(scene_of(mesh, at(weather=weather)), (0, y, 2), [(0, 0, 2)])[0] for y in (-4, 4)]
            for weather in ("clear", "overcast")
        )
        assert (south[0] > 1.5 * south[1]).all()
        np.testing.assert_allclose(north[0], north[1], rtol=1e-4)


def painted(left, right, code=0) -> np.ndarray:
    image = np.zeros((4, 8, 4), np.uint8)
    image[:, :4, :3], image[:, 4:, :3], image[..., 3] = left, right, code
    return image


def test_a_picture_on_a_wall_is_the_right_way_round(at):
    mesh, textures = Mesh(), Textures()
    image = painted((200, 0, 0), (0, 200, 0))
    image[:2, :, 2] = 200  # blue above
    material = mesh.add_material(texture=textures.add(image), size=(8.0, 4.0))
    mesh.quad((4.0, 10, 0), (-8, 0, 0), (0, 0, 4), material)  # seen from the north
    scene = scene_of(mesh, at(weather="overcast"), textures=textures)
    camera = Camera(180, fov=14, width=4, height=4)
    light = scene.radiance(np.array([0, 30.0, 2]), camera.rays().reshape(-1, 3), 1e-3)[0].reshape(4, 4, 3)
    assert (light[:, 0, 0] > light[:, 0, 1]).all()  # red on the left
    assert (light[:, 3, 1] > light[:, 3, 0]).all()
    assert (light[0, :, 2] > 2 * light[3, :, 2]).all()


def test_edges_are_the_mean_of_five_rays(at):
    mesh = Mesh()
    level(mesh, (60, 60, 60))
    mesh.box((3, 8, 0), (3, 2, 6), 20.0, mesh.add_material((250, 250, 250)))
    mesh.box((-2, -6, 0), (1, 4, 3), 70.0, mesh.add_material((250, 20, 20)))
    scene = scene_of(mesh, at())
    rays, eye = panorama_rays(64, 30.0), np.array([0, 0, 2.5])
    light, distance = scene.render(eye, rays, 2 * np.pi / 64)
    plain, far, material = (
        v.reshape(32, 64, *v.shape[1:]) for v in scene.radiance(eye, rays.reshape(-1, 3), 2 * np.pi / 64)
    )
    np.testing.assert_array_equal(distance, far)  # no mean of two depths
    smoothed = 0
    for y in range(32):
        for x in range(64):
            # the sides meet, the poles do not
            beside = [(y, (x + 1) % 64), (y, (x - 1) % 64), (y + 1, x), (y - 1, x)]
            if all(material[n] == material[y, x] for n in beside if 0 <= n[0] < 32):
                near = [far[n] for n in beside if 0 <= n[0] < 32 and np.isfinite(far[n])]
                if all(abs(n - far[y, x]) < 0.1 * min(n, far[y, x]) for n in near):
                    np.testing.assert_array_equal(light[y, x], plain[y, x])
                continue
            smoothed += 1
            right = rays[y, (x + 1) % 64] - rays[y, x]
            down = rays[y + 1, x] - rays[y, x] if y < 31 else rays[y, x] - rays[y - 1, x]
            five = [rays[y, x]]
            five += [rays[y, x] + a * right + b * down for a, b in ((-0.3, -0.1), (0.1, -0.3), (0.3, 0.1), (-0.1, 0.3))]
            five = np.array(five) / np.linalg.norm(five, axis=1, keepdims=True)
            wanted = np.minimum(scene.radiance(eye, five, 2 * np.pi / 64)[0], MAX_RADIANCE).mean(axis=0)
            np.testing.assert_allclose(light[y, x], wanted, rtol=2e-3, atol=1e-5)
    assert 100 < smoothed < 600
    between = light[(light[..., 0] > 1.2 * light[..., 1]) & (light[..., 0] < 5 * light[..., 1])]
    assert len(between)  # pixels that are partly red


def night_ground(at, lamps=NOTHING, shops=NOTHING, points=(), block=None, seed=1) -> np.ndarray:
    mesh = Mesh()
    level(mesh, (188, 188, 188))
    if block:
        mesh.box(*block, 0.0, mesh.add_material((10, 10, 10)))
    moment = at(NIGHT, seed=seed)
    assert moment.lamps_on
    dark = scene_of(mesh, moment)
    return without_haze(scene_of(mesh, moment, lamps, shops), (0, 0, 30), points) - without_haze(
        dark, (0, 0, 30), points
    )


def test_lamplight_by_hand(at):
    """9 LAMP_COLOUR cos(angle) hood (1 - d / LAMP_RANGE) / (d^2 + 1.5), on white of albedo 0.5029."""
    x = np.array([0.0, 1.0, 4.0, 9.0, 15.0, 22.0])
    points = np.stack([x, 0 * x, 0 * x], axis=1)
    found = night_ground(at, lamps=[(0, 0, 6.0)], points=points)
    d = np.hypot(x, 6)
    cosine = 6 / d
    strength = cosine * np.minimum(0.25 + cosine, 1) * (1 - d / LAMP_RANGE) / (d**2 + 1.5)
    np.testing.assert_allclose(found, 9 * 0.502886 * strength[:, None] * LAMP_COLOUR, rtol=0.01, atol=2e-5)
    assert (np.diff(found[:, 0]) < 0).all()
    np.testing.assert_allclose(night_ground(at, lamps=[(0, 0, 6.0)], points=[(26, 0, 0)]), 0, atol=1e-5)


def test_lamps_add_up_and_shops_have_a_light_of_their_own(at):
    points = [(1.0, 2, 0), (-4, 0, 0), (7, 7, 0)]
    lamps = [(0, 0, 6.0), (5, 5, 5.0)]
    one, two, both = (night_ground(at, lamps=some, points=points) for some in (lamps[:1], lamps[1:], lamps))
    np.testing.assert_allclose(both, one + two, rtol=2e-3, atol=1e-5)
    shop, lamp = (night_ground(at, points=points, **{kind: [(0, 0, 2.4)]}) for kind in ("shops", "lamps"))
    np.testing.assert_allclose(shop / (SHOP_COLOUR * 2), lamp / (LAMP_COLOUR * 9), rtol=0.01, atol=1e-5)


def test_what_stands_in_the_way_of_a_lamp_shades_it(at):
    block = (4, 0, 0), (1, 4, 4)
    points = [(-7.0, 0, 0), (7.0, 0, 0), (7.0, 8, 0)]
    open_, shaded = (night_ground(at, lamps=[(0, 0, 6.0)], points=points, block=b) for b in (None, block))
    np.testing.assert_allclose(shaded[[0, 2]], open_[[0, 2]], rtol=0.01)
    np.testing.assert_allclose(shaded[1], 0, atol=1e-5)
    behind = night_ground(at, lamps=[(0, 0, 6.0)], points=[(1.0, 0, 0)], block=((-0.6, 0, 8), (1, 1, 1)))
    assert (behind > 0.01).all()  # what is beyond the lamp is not


def test_lamps_are_off_by_day(at):
    mesh = Mesh()
    level(mesh)
    seen = [
        scene_of(mesh, at(), lamps).radiance(np.array([0, 0, 3.0]), towards((0, 0, 3), [(1, 1, 0)]), 1e-3)[0]
        for lamps in (NOTHING, [(0, 0, 6.0)])
    ]
    np.testing.assert_array_equal(*seen)


def test_fog_hides_what_is_far(at):
    """At 42 metres a third of the contrast is left, e^-1."""
    left = {}
    for y in (5.0, 42.0, 400.0):
        mesh = Mesh()
        for x, colour in ((-y, (255, 255, 255)), (0, (0, 0, 0))):
            mesh.quad((x, y, 0), (y, 0, 0), (0, 0, 5), mesh.add_material(colour))
        scene = scene_of(mesh, at(weather="fog"))
        (white, black), distance, _ = scene.radiance(
            np.array([0, 0, 2.0]), towards((0, 0, 0), [(-0.1, 1, 0), (0.1, 1, 0)]), 1e-4
        )
        left[y] = float((white - black).mean())
        veil = scene.moment.sky(towards(0, [(0.1, 1, 0.04)]))[0] * (1 - np.exp(-distance[1] / 42.0))
        np.testing.assert_allclose(black, veil, rtol=0.01)
    assert left[42.0] / left[5.0] == pytest.approx(np.exp(-37 * np.hypot(1, 0.1) / 42), rel=0.01)
    assert left[400.0] < 1e-3 * left[5.0]


def lit_windows(at, seed: int, when: str = NIGHT) -> np.ndarray:
    """Light in each of 250 windows of one wall."""
    mesh, textures = Mesh(), Textures()
    image = np.full((1, 250, 4), 60, np.uint8)
    image[0, :, 3] = np.arange(1, 251)
    mesh.quad((-125, 60, 0), (250, 0, 0), (0, 0, 4), mesh.add_material(texture=textures.add(image), size=(250.0, 4.0)))
    scene = scene_of(mesh, at(when, seed=seed), textures=textures)
    points = np.stack([np.arange(250) - 124.5, np.full(250, 60.0), np.full(250, 2.0)], axis=1)
    return scene.radiance(np.array([0, 0, 2.0]), towards((0, 0, 2), points), 1e-4)[0]


def test_windows_are_lit_others_each_night(at):
    one, same, other = (lit_windows(at, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    bright = one[:, 0] > 0.04, other[:, 0] > 0.04
    for lit in bright:
        assert 0.2 < lit.mean() < 0.45  # a third
    assert (bright[0] != bright[1]).mean() > 0.25
    assert np.ptp(one[bright[0], 2] / one[bright[0], 0]) > 0.2  # warmer and colder light
    day = lit_windows(at, 5, "2021-06-21T09:48:00")
    ratio = day[:, 0] / np.roll(day[:, 0], 1)
    assert abs(np.median(ratio) - 1) < 0.01


def test_signs_and_bulbs_shine_by_night(at):
    def seen(when: str, code: int, emission: float) -> np.ndarray:
        mesh, textures = Mesh(), Textures()
        texture = textures.add(painted((200, 100, 50), (200, 100, 50), code))
        material = mesh.add_material(texture=texture, size=(8.0, 4.0), emission=emission)
        mesh.quad((-4, 10, 0), (8, 0, 0), (0, 0, 4), material)
        return without_haze(scene_of(mesh, at(when), textures=textures), (0, 0, 2), [(1, 10, 2)])[0]

    colour = np.array([0.577580, 0.127438, 0.031896])  # of sRGB 200, 100, 50
    dark = seen(NIGHT, 0, 0.0)
    np.testing.assert_allclose(seen(NIGHT, 254, 0.0) - dark, 0.85 * colour, rtol=0.01)
    np.testing.assert_allclose(seen(NIGHT, 0, 6.0) - dark, 6 * colour, rtol=0.01)
    noon = "2021-06-21T09:48:00"
    np.testing.assert_array_equal(seen(noon, 0, 6.0), seen(noon, 0, 0.0))
    np.testing.assert_array_equal(seen(noon, 254, 0.0), seen(noon, 0, 0.0))
    assert (seen(NIGHT, 253, 0.0) > 2 * dark).all()  # a shop's window


def test_glass_shows_the_sky_at_a_slant(at):
    def more(x: float) -> float:
        """What glass adds to a dark wall seen from x metres aside."""
        light = []
        for code in (0, 9):
            mesh, textures = Mesh(), Textures()
            texture = textures.add(painted((20, 20, 20), (20, 20, 20), code))
            mesh.quad((-4, 0, 0), (8, 0, 0), (0, 0, 4), mesh.add_material(texture=texture, size=(8.0, 4.0)))
            scene = scene_of(mesh, at(weather="overcast"), textures=textures)
            light.append(without_haze(scene, (x, -3, 2), [(0, 0, 2)])[0].mean())
        return light[1] - light[0]

    assert 0.02 < more(0) < more(5) < more(20)


def test_rain_and_snow(at):
    mesh = Mesh()
    level(mesh, (128, 128, 128))
    mesh.quad((-5, 10, 0), (10, 0, 0), (0, 0, 6), mesh.add_material((128, 128, 128)))
    points = [(1.0, 5, 0), (-2, 3, 0), (0, 10, 4)]
    plain, rain, snow = (
        without_haze(scene_of(mesh, moment), (0, 0, 3), points) / (moment.skylight * 1.0)
        for moment in (at(weather=w) for w in ("overcast", "rain", "snow"))
    )
    np.testing.assert_allclose(rain / plain, np.array([[0.45], [0.45], [0.8]]) * np.ones(3), rtol=0.02)
    assert (snow[:2] > 1.3 * plain[:2]).all()
    np.testing.assert_allclose(snow[2], plain[2], rtol=0.02)  # none sticks to a wall
