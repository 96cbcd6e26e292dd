from __future__ import annotations

import cv2
import numpy as np
import pytest

from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.synthesis.ray_casting import THIN, RayCaster, remap, thin_objects

AT = np.array([0.0, 0.0, 2.5])
AROUND = panorama_rays(360)[10:-10]  # every direction but straight up and down


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between unit vectors, exact for small ones."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


def true_directions(world, offset: np.ndarray, rays: np.ndarray) -> np.ndarray:
    metres = world.distance(AT + offset, rays)[..., None]
    towards = np.where(np.isfinite(metres), offset + np.where(np.isfinite(metres), metres, 0) * rays, rays)
    return towards / np.linalg.norm(towards, axis=-1, keepdims=True)


def border(mask: np.ndarray, pixels: int) -> np.ndarray:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) != cv2.erode(mask.astype(np.uint8), kernel)


def outline(metres: np.ndarray, pixels: int) -> np.ndarray:
    """Where something ends in front of something else (H, W), and so many pixels around."""
    near, kernel = 1 / metres, np.ones((3, 3))
    jump = cv2.dilate(near, kernel) - cv2.erode(near, kernel) > 0.5 * near + 1e-3
    return cv2.dilate(jump.astype(np.uint8), np.ones((2 * pixels + 1, 2 * pixels + 1))) > 0


@pytest.mark.parametrize("offset", [(5, 0, 0), (0, -7, 0), (-9, 6, 0), (0.3, 0.1, 0), (3, -2, 1.5), (12, 11, 0)])
@pytest.mark.parametrize(("heading", "width"), [(0, 1024), (213.5, 256)])
def test_rays_in_a_room_lead_to_what_they_hit(room, offset, heading, width):
    offset = np.array(offset, float)
    depth = room.panorama(AT, heading, 64, width).depth
    directions = RayCaster(depth, heading, offset).directions(AROUND)
    true = true_directions(room, offset, AROUND)
    seen = np.isfinite(directions[..., 0])
    pixel = 360 / width
    # all but the sky just above the walls, which they hide from the panorama
    hidden = ~room.sees(AT, AT + offset, AROUND)
    width = 2 + round(2 * pixel)
    edge = border(hidden, width) | outline(room.distance(AT + offset, AROUND), width)
    assert (seen == ~hidden)[~edge].all()
    error = angle(directions, true)[seen]
    assert np.median(error) < 0.02 * pixel
    assert np.quantile(error, 0.98) < pixel  # the rest are rays along the roofs' edge


def test_a_slow_search_finds_the_same(corner):
    """Each ray walked in steps of 2 cm through the nearest pixels of the depth map, in float64."""
    offset, heading = np.array([4.0, -3.0, 0.0]), 75.0
    depth = corner.panorama(AT, heading, 64, 1024).depth
    rays = Camera(110, 12, 0, 60, 12, 9).rays().reshape(-1, 3)
    directions = RayCaster(depth, heading, offset).directions(rays)
    compared = 0
    for ray, found in zip(rays, directions, strict=True):
        points = offset + np.arange(0, 150, 0.02)[:, None] * ray
        metres = np.linalg.norm(points, axis=-1)
        turn = (np.degrees(np.arctan2(points[:, 0], points[:, 1])) - heading) / 360 + 0.5
        column = np.floor(turn % 1 * 1024).astype(int) % 1024
        row = np.floor((90 - np.degrees(np.arcsin(points[:, 2] / metres))) / 180 * 512).astype(int)
        behind = metres - depth[row, column]
        if not (behind > 0).any():
            assert found == pytest.approx(ray, abs=1e-6)  # the sky
        elif behind[np.argmax(behind > 0)] > 1:
            continue  # lost, or nearly
        elif np.isfinite(found).all():
            assert angle(found, points[np.argmax(behind > 0)] / metres[np.argmax(behind > 0)]) < 1.5 * 360 / 1024
            compared += 1
    assert compared > 60


@pytest.mark.parametrize("offset", [(5, 0.3, 0), (3, 4.1, 0), (-14, 2, 0), (1, -6, 0)])
def test_holes_are_where_the_panorama_does_not_see(corner, cameras, offset):
    offset = np.array(offset, float)
    cast = RayCaster(corner.panorama(AT, 30, 64, 1024).depth, 30, offset)
    hidden = 0
    for camera in cameras:
        rays = camera.rays()
        sees = corner.sees(AT, AT + offset, rays)
        seen = np.isfinite(cast.directions(rays)[..., 0])
        wrong = (seen != sees) & ~border(sees, 2) & ~outline(corner.distance(AT + offset, rays), 2)
        # a ray may pass behind a house and come out again to something seen: it stays a hole, for who knows what is
        # behind the house
        assert (wrong & seen).mean() < 1e-3  # a row may clip the corner of a roof, and take it for something thin
        assert wrong.mean() < 0.015
        hidden += (~sees).mean() / len(cameras)
    assert 0.01 < hidden < 0.2


def test_the_sky_has_no_parallax(plain):
    cast = RayCaster(plain.panorama(AT, 0, 64, 512).depth, 0, np.array([10.0, 5.0, 0.0]))
    up = AROUND[AROUND[..., 2] > 0.02]
    np.testing.assert_allclose(cast.directions(up), up, atol=1e-5)
    assert np.isfinite(cast.directions(AROUND)).all()  # nor does the horizon tear


def test_without_an_offset_nothing_needs_to_be_known():
    cast = RayCaster(np.full((8, 16), np.nan, np.float32), 0, np.zeros(3))
    np.testing.assert_array_equal(cast.directions(AROUND), AROUND.astype(np.float32))


def test_unknown_depth_is_a_hole_and_no_more(room):
    offset = np.array([4.0, 3.0, 0.0])
    depth = room.panorama(AT, 0, 64, 512).depth.copy()
    whole = RayCaster(depth, 0, offset).directions(AROUND)
    depth[110:150, 100:160] = np.nan
    holed = RayCaster(depth, 0, offset).directions(AROUND)
    true = true_directions(room, offset, AROUND)
    azimuth, elevation = np.degrees(np.arctan2(true[..., 0], true[..., 1])), np.degrees(np.arcsin(true[..., 2]))
    pixel = 360 / 512

    def patch(margin: float) -> np.ndarray:
        x, y = azimuth / pixel + 255.5, (90 - elevation) / pixel - 0.5
        return (x > 99.5 - margin) & (x < 159.5 + margin) & (y > 109.5 - margin) & (y < 149.5 + margin)

    lost = np.isnan(holed[..., 0]) & np.isfinite(whole[..., 0])
    assert lost[patch(-1.5)].all()
    assert lost.sum() > 100
    assert not lost[~patch(2.5)].any()  # a pixel of the map here may be two there
    np.testing.assert_allclose(holed[~patch(3.5)], whole[~patch(3.5)], atol=1e-3)


def test_nothing_is_seen_from_behind_a_wall(room):
    depth = room.panorama(AT, 0, 64, 512).depth
    assert np.isnan(RayCaster(depth, 0, np.array([25.0, 3.0, 0.0])).directions(AROUND)).all()
    assert np.isnan(
        RayCaster(np.full((64, 128), np.nan, np.float32), 0, np.array([1.0, 0, 0])).directions(AROUND)
    ).all()


def test_rays_go_past_behind_a_post_but_not_behind_a_kiosk(world):
    wall = (-50, 12, 0), (50, 14, 20)
    post, kiosk = ((2.9, 5.9, 0), (3.1, 6.1, 20)), ((2.9, 5.9, 0), (4.6, 7.6, 20))
    offset = np.array([-5.0, 2.0, 0.0])
    rays = Camera(60, 20, 0, 60, 128, 96).rays()
    lost = {}
    for name, thing in {"post": post, "kiosk": kiosk}.items():
        scene = world(wall, thing)
        directions = RayCaster(scene.panorama(AT, 0, 64, 1024).depth, 0, offset).directions(rays)
        lost[name] = np.isnan(directions[..., 0])
        hidden = ~scene.sees(AT, AT + offset, rays)
        assert lost[name][hidden & ~border(hidden, 2)].all()
        right = angle(directions, true_directions(scene, offset, rays)) < 0.5
        assert right[~lost[name] & ~border(hidden, 3)].mean() > 0.98
        if name == "post":  # more is lost only by what may stand THIN metres behind it, at 8.5 m, and by its edges
            extra = lost[name] & ~hidden & ~border(hidden, 2)
            assert extra.mean() < (np.degrees(THIN / 8.5) + 4) / 60
    assert lost["kiosk"].mean() > 2 * lost["post"].mean() > 0


def test_thin_objects():
    near = np.full((1, 720), 0.1, np.float32)  # all 10 m away; half a degree is 8.7 cm there
    near[0, 100:105] = 1 / 5.0  # 22 cm wide
    near[0, 200:260] = 1 / 5.0  # 2.6 m wide
    near[0, 300:305] = 1 / 9.5  # stands out by half a metre
    near[0, 400:405] = 1 / 15.0  # a gap
    near[0, 500:505] = np.nan
    want = np.zeros((1, 720), bool)
    want[0, 100:105] = True
    np.testing.assert_array_equal(thin_objects(near, 2 * np.pi / 720), want)


def test_remap_of_more_than_opencv_takes_in_a_row():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, y = np.tile([0.5, 2.0, 3.0], 30_000), np.tile([0.0, 1.5, 2.0], 30_000)
    np.testing.assert_allclose(remap(image, x, y), np.tile([0.5, 8.0, 11.0], 30_000))
    assert remap(image, x[:0], y[:0]).shape == (0,)
    assert remap(np.zeros((3, 4, 2), np.uint8), x.reshape(3, -1), y.reshape(3, -1)).shape == (3, 30_000, 2)


@pytest.mark.parametrize("offset", [(14.0, 0, 0), (-10.0, -8.0, 0), (0, 9.0, 0.5)])
def test_what_looks_much_larger_from_there_is_not_seen(room, offset):
    """By the distances, which tell how much larger across, and by the panorama's step where the ray turns a little."""
    offset, limit, turn = np.array(offset), 2.0, 1e-4
    depth = room.panorama(AT, 0, 64, 2048).depth
    pole = offset / np.linalg.norm(offset)
    rays = AROUND.reshape(-1, 3)
    away = rays - (rays @ pole)[:, None] * pole
    rays = rays[np.linalg.norm(away, axis=1) > 0.05]
    away = rays - (rays @ pole)[:, None] * pole
    across = np.cross(np.cross(rays, pole), rays)  # where theta grows or shrinks fastest
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    turned = rays * np.cos(turn) + across * np.sin(turn)
    one, two = true_directions(room, offset, rays), true_directions(room, offset, turned)
    there = room.distance(AT + offset, rays)
    here = np.linalg.norm(offset + np.where(np.isfinite(there), there, 0)[:, None] * rays, axis=1)
    wide = np.where(np.isfinite(there), here / there, 1.0)
    long = turn / np.maximum(np.linalg.norm(two - one, axis=1), 1e-9)
    larger = np.maximum(wide, long)
    whole = np.isfinite(RayCaster(depth, 0, offset).directions(rays)[:, 0])
    kept = np.isfinite(RayCaster(depth, 0, offset, limit).directions(rays)[:, 0])
    assert not (kept & ~whole).any()
    small, large = whole & (larger < 0.9 * limit), whole & (larger > 1.1 * limit)
    assert small.sum() > 1000
    assert large.sum() > 500
    assert kept[small].mean() > 0.985  # the rest: beside the edge between two walls, which the grid rounds off
    assert kept[large].mean() < 0.015
