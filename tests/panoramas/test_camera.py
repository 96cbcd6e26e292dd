from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvlad.panoramas.camera import Camera, panorama_pixels, panorama_rays

EAST, NORTH, UP = np.eye(3)
SQUARE = {"fov": 90.0, "width": 3, "height": 3}  # focal length 1.5 pixels


@pytest.mark.parametrize(
    ("camera", "right", "up", "forward"),
    [
        (Camera(0), EAST, UP, NORTH),
        (Camera(90), -NORTH, UP, EAST),
        (Camera(180), -EAST, UP, -NORTH),
        (Camera(-90), NORTH, UP, -EAST),
        (Camera(0, pitch=90), EAST, -NORTH, UP),  # the zenith, and what was behind is above
        (Camera(0, pitch=-90), EAST, NORTH, -UP),
        (Camera(0, roll=90), -UP, EAST, NORTH),  # lying on its right side
        (Camera(90, roll=-90), UP, NORTH, EAST),
        (Camera(0, pitch=45), EAST, (UP - NORTH) / 2**0.5, (UP + NORTH) / 2**0.5),
    ],
)
def test_axes_by_hand(camera, right, up, forward):
    np.testing.assert_allclose(camera.axes, [right, up, forward], atol=1e-12)


@given(st.floats(-720, 720), st.floats(-90, 90), st.floats(-180, 180))
def test_axes_are_a_right_angled_frame_whose_forward_has_the_heading_and_pitch(heading, pitch, roll):
    axes = Camera(heading, pitch, roll).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), -axes[2], atol=1e-12)  # right x up points back
    assert axes[2, 2] == pytest.approx(np.sin(np.radians(pitch)), abs=1e-12)


def test_rays_by_hand():
    rays = Camera(0, **SQUARE).rays()
    assert rays.shape == (3, 3, 3)
    np.testing.assert_allclose(rays[1, 1], NORTH)
    right = np.array([1, 1.5, 0]) / 3.25**0.5  # one pixel aside at 1.5 pixels away
    np.testing.assert_allclose(rays[1, 2], right)
    np.testing.assert_allclose(rays[0, 1], [0, right[1], right[0]])  # the upper row looks up
    np.testing.assert_allclose(rays[2, 0], np.array([-1, 1.5, -1]) / 4.25**0.5)


def test_the_field_of_view_runs_to_the_outer_edges_of_the_outer_pixels():
    camera = Camera(30, fov=80, width=640, height=480)
    left, right = camera.rays(np.array([-0.5, 639.5]), np.array([239.5, 239.5]))
    assert np.degrees(np.arctan2(*left[:2])) == pytest.approx(30 - 40)
    assert np.degrees(np.arctan2(*right[:2])) == pytest.approx(30 + 40)


@given(
    st.floats(-360, 360), st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 170), st.integers(1, 9),
    st.integers(1, 9), st.floats(0.01, 1e4),
)  # fmt: skip
def test_what_a_pixel_sees_is_seen_at_the_pixel(heading, pitch, roll, fov, width, height, far):
    camera = Camera(heading, pitch, roll, fov, width, height)
    x, y = camera.pixels(far * camera.rays())
    np.testing.assert_allclose(x, np.broadcast_to(np.arange(width), (height, width)), atol=1e-6)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(height)[:, None], (height, width)), atol=1e-6)


def test_behind_a_camera_nothing_is_seen():
    x, y = Camera(0).pixels(np.array([-NORTH, EAST, NORTH]))
    assert np.isnan(x).tolist() == np.isnan(y).tolist() == [True, True, False]
    assert (x[2], y[2]) == (319.5, 239.5)


@pytest.mark.parametrize("wrong", [{"fov": 0}, {"fov": 180}, {"fov": float("nan")}, {"width": 0}, {"height": -1}])
def test_impossible_cameras(wrong):
    with pytest.raises(ValueError, match=r"the field of view must|a camera must have pixels"):
        Camera(0, **wrong)


# -- panoramas ------------------------------------------------------------------------------------------------------


def test_a_panorama_of_four_by_two_by_hand():
    rays = panorama_rays(4)
    assert rays.shape == (2, 4, 3)
    s, up = 0.5, 0.5**0.5  # headings -135, -45, 45, 135 at 45 degrees of elevation
    np.testing.assert_allclose(rays[0], [[-s, -s, up], [-s, s, up], [s, s, up], [s, -s, up]])
    np.testing.assert_allclose(rays[1], rays[0] * [1, 1, -1])
    np.testing.assert_allclose(panorama_rays(4, heading=90)[0], np.roll(rays[0], -1, axis=0), atol=1e-12)


@pytest.mark.parametrize(
    ("direction", "heading", "x", "y"),
    [
        (NORTH, 0, 49.5, 24.5),  # halfway across and halfway up
        (5 * EAST, 0, 74.5, 24.5),
        (-EAST, 0, 24.5, 24.5),
        (-NORTH, 0, -0.5, 24.5),  # the seam is the left edge
        (NORTH, 90, 24.5, 24.5),
        (NORTH, -270, 24.5, 24.5),
        (EAST, 90, 49.5, 24.5),
        (NORTH + UP, 0, 49.5, 12.0),
    ],
)
def test_pixels_of_a_panorama_by_hand(direction, heading, x, y):
    found = panorama_pixels(direction, 100, heading)
    assert found == (pytest.approx(x), pytest.approx(y))


def test_the_poles_are_the_upper_and_the_lower_edge():
    assert [panorama_pixels(d, 100)[1] for d in (UP, -UP)] == [-0.5, 49.5]


@given(st.integers(1, 12).map(lambda n: 2 * n), st.floats(-720, 720))
def test_what_a_panoramas_pixel_shows_is_shown_at_the_pixel(width, heading):
    x, y = panorama_pixels(3.0 * panorama_rays(width, heading), width, heading)
    np.testing.assert_allclose(x, np.broadcast_to(np.arange(width), x.shape), atol=1e-6)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(width // 2)[:, None], y.shape), atol=1e-6)


@given(st.floats(-360, 360), st.floats(-360, 360), st.floats(-90, 90))
def test_pixels_stay_in_the_panorama(azimuth, heading, elevation):
    a, e = np.radians([azimuth, elevation])
    x, y = panorama_pixels(np.array([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)]), 64, heading)
    assert -0.5 <= x < 63.5
    assert -0.5 <= y <= 31.5
