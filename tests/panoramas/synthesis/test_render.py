from __future__ import annotations

import numpy as np
import pytest

from netvlad.panoramas.camera import Camera
from netvlad.panoramas.panorama import cut_outs
from netvlad.panoramas.synthesis import render as module
from netvlad.panoramas.synthesis.render import Panorama, fill_narrow, render

AT = np.array([0.0, 0.0, 2.5])


def psnr(squares: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(squares.mean(), 1e-9))


def squares(world, views, cameras, origin) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of defined pixels, and of a true photo taken 25 cm beside."""
    made, beside = [], []
    for view, camera in zip(views, cameras, strict=True):
        rays, defined = camera.rays(), view[..., 3] == 255
        true = world.colours(origin, rays)
        made.append(((view[..., :3] - true) ** 2)[defined])
        beside.append(((world.colours(origin + [0.25, 0, 0], rays) - true) ** 2)[defined])
    return np.concatenate(made), np.concatenate(beside)


@pytest.mark.parametrize("offset", [(5, 0, 0), (3, 4, 0), (-9, 2, 0), (0.5, 0.5, 0)])
def test_a_view_is_what_a_camera_there_would_see(corner, cameras, offset):
    offset = np.array(offset, float)
    views = list(render([corner.panorama(AT, 30)], [offset], cameras))
    assert {(v.shape, v.dtype) for v in views} == {((96, 128, 4), np.dtype(np.uint8))}
    assert set(np.unique([v[..., 3] for v in views])) == {0, 255}
    made, beside = squares(corner, views, cameras, AT + offset)
    assert made.size > 0.85 * len(views) * 96 * 128 * 3
    # a mean error below that of a true photo taken 25 cm beside; the edges of houses, where a pixel shows
    # the one or the other, are in it
    assert psnr(made) > psnr(beside)
    assert psnr(made) > 35
    assert np.median(made) < 1.5  # grey levels, squared: most pixels are right but for rounding
    for view in views:
        assert not view[view[..., 3] == 0].any()  # a hole has no colour


@pytest.mark.parametrize("width", [512, 1024, 3000])
def test_at_the_panorama_it_is_the_cut_out(corner, cameras, width):
    panorama = corner.panorama(AT, 200, width)
    views = list(render([panorama], [np.zeros(3)], cameras))
    for view, want in zip(views, cut_outs(panorama.photo, cameras, 200), strict=True):
        assert (view[..., 3] == 255).all()
        assert psnr((view[..., :3].astype(float) - want) ** 2) > 42


def test_close_to_the_panorama_it_is_nearly_the_cut_out(corner, cameras):
    panorama = corner.panorama(AT, 0)
    (view,) = render([panorama], [np.array([0.01, 0.0, 0.0])], cameras[1:2])
    (want,) = cut_outs(panorama.photo, cameras[1:2], 0)
    defined = view[..., 3] == 255
    assert defined.mean() > 0.98
    assert psnr((view[..., :3].astype(float) - want)[defined] ** 2) > 35


def test_the_next_panorama_fills_holes_only(world, corner, cameras):
    kiosk = world(*corner.boxes, ((3, 2, 0), (6, 5, 4)))
    near, far = kiosk.panorama(AT, 30), kiosk.panorama(AT + [9, 0, 0], 75)
    here = np.array([2.0, -3.0, 0.0])
    alone = np.array(list(render([near], [here], cameras)))
    both = np.array(list(render([near, far], [here, here - [9, 0, 0]], cameras)))
    before, after = alone[..., 3] == 255, both[..., 3] == 255
    assert after[before].all()
    assert 1 - after.mean() < 0.8 * (1 - before.mean())
    far_and_near = np.abs(both[before].astype(int) - alone[before]).max(-1)
    assert (far_and_near > 0).mean() < 0.02  # pixels at the border of a hole, which are means over four rays
    made, beside = squares(kiosk, both, cameras, AT + here)
    assert psnr(made) > psnr(beside)


def test_what_the_panorama_leaves_undefined_is_a_hole(corner):
    panorama = corner.panorama(AT, 0, 512)
    alpha = np.full((256, 512, 1), 255, np.uint8)
    alpha[:, 256:] = 0
    holed = Panorama(np.concatenate([panorama.photo, alpha], axis=2), panorama.depth, 0.0)
    (view,) = render([holed], [np.zeros(3)], [Camera(0, 0, 0, 60, 64, 48)])
    assert (view[:, :31, 3] == 255).all()
    assert not view[:, 33:].any()
    (filled,) = render([holed, panorama], [np.zeros(3)] * 2, [Camera(0, 0, 0, 60, 64, 48)])
    assert (filled[..., 3] == 255).all()


def test_large_views_are_cast_in_parts(corner, monkeypatch):
    camera = Camera(70, 12, 0, 60, 64, 48)
    panorama, offset = corner.panorama(AT, 30), np.array([3.0, 1.0, 0.0])
    (whole,) = render([panorama], [offset], [camera])
    monkeypatch.setattr(module, "RAYS_AT_ONCE", 1000)
    (parts,) = render([panorama], [offset], [camera])
    np.testing.assert_array_equal(whole, parts)


def test_nothing_known_is_all_hole(corner):
    panorama = corner.panorama(AT, 0, 64, 64)
    unknown = Panorama(panorama.photo, np.full((32, 64), np.nan, np.float32), 0.0)
    (view,) = render([unknown], [np.array([1.0, 0.0, 0.0])], [Camera(0, 0, 0, 60, 16, 12)])
    assert not view.any()


def test_narrow_holes_are_closed_and_wide_ones_stay():
    rng = np.random.default_rng(0)
    view = np.full((60, 108, 4), 255, np.uint8)  # holes of less than 3 pixels are narrow
    view[..., :3] = (90, 120, 30)
    view[10:50, 20:22] = 0
    view[10:50, 60:70] = 0
    specks = rng.random((60, 108)) < 0.02
    specks[:, 55:75] = specks[:, 18:25] = False
    view[specks] = 0
    filled = fill_narrow(view)
    wide = np.zeros((60, 108), bool)
    wide[10:50, 60:70] = True
    np.testing.assert_array_equal(filled[..., 3] == 0, wide)
    np.testing.assert_array_equal(filled[wide], 0)
    assert (filled[~wide] == [90, 120, 30, 255]).all()  # of one colour around, of that


def test_a_narrow_hole_has_the_colours_beside_it():
    view = np.full((40, 72, 4), 255, np.uint8)
    view[:, :36, :3], view[:, 36:, :3] = 40, 200
    view[:, 35] = 0
    filled = fill_narrow(view)
    assert filled[20, 35, 0] == pytest.approx(120, abs=1)  # as far from the one as from the other
    np.testing.assert_array_equal(np.delete(filled, 35, axis=1), np.delete(view, 35, axis=1))


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (30, 40)])
def test_nothing_to_fill_from_or_nothing_to_fill(shape):
    for view in (np.zeros((*shape, 4), np.uint8), np.full((*shape, 4), 255, np.uint8)):
        np.testing.assert_array_equal(fill_narrow(view), view)
