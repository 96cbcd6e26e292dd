from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.camera_pipeline import CameraSettings, _blur_kernel, apply_camera

STILL = CameraSettings(noise=0.0)


def photo(light, settings=STILL, seed=0) -> np.ndarray:
    return apply_camera(np.asarray(light, np.float32), settings, np.random.default_rng(seed))


def scene(height=40, width=60, level=0.3, seed=0) -> np.ndarray:
    return (level * np.random.default_rng(seed).uniform(0.4, 1.6, (height, width, 3))).astype(np.float32)


def linear(image: np.ndarray) -> np.ndarray:
    """sRGB 0..255 -> linear."""
    v = np.asarray(image, float) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def test_a_grey_wall_comes_out_at_the_meters_grey():
    grey = photo(np.full((8, 8, 3), 0.3))
    assert (grey.shape, grey.dtype) == ((8, 8, 3), np.uint8)
    np.testing.assert_array_equal(grey, 124)  # 1.055 * 0.2 ** (1 / 2.4) - 0.055 = 0.4845
    np.testing.assert_array_equal(photo(np.full((8, 8, 3), 3.0)), 124)  # so does a brighter one


def test_by_hand_in_float64():
    light = scene().astype(float)
    settings = CameraSettings(exposure=-0.5, white_balance=(1.1, 1.0, 0.9), noise=0.0)
    mean = np.exp(np.log(light.mean(axis=2) + 1e-4).mean())
    gain = 0.2 * min(1, (mean / 0.3)) ** 0.3 / mean * 2**-0.5
    wanted = np.empty(light.shape)
    for i in np.ndindex(light.shape):
        v = light[i] * gain * settings.white_balance[i[2]]
        v = min(max(v if v <= 0.6 else 0.6 + 0.4 * np.tanh((v - 0.6) / 0.55), 0), 1)
        wanted[i] = 255 * (12.92 * v if v < 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo(light, settings), wanted, atol=0.51)


def test_night_is_darker_than_day_and_not_black():
    day, dusk, night = (photo(scene(level=level)).mean() for level in (0.5, 0.03, 0.003))
    assert day > 1.1 * dusk > 1.2 * night
    assert night > 20


def test_exposure_in_stops():
    light = scene(level=0.05)
    one, two = (linear(photo(light, CameraSettings(exposure=e, noise=0.0)).mean(axis=(0, 1))) for e in (-1.0, 0.0))
    np.testing.assert_allclose(two / one, 2, rtol=0.02)
    assert linear(photo(light, CameraSettings(exposure=3.0))).max() <= 1


@pytest.mark.parametrize("light", [np.zeros((5, 7, 3)), np.full((5, 7, 3), 1e6), -scene(5, 7), np.full((1, 1, 3), 0.2)])
def test_ugly_light(light):
    image = photo(light, CameraSettings(noise=0.01, vignetting=0.4, motion_blur=(3.0, 20.0)))
    assert (image.shape, image.dtype) == (light.shape, np.uint8)
    if light.max() <= 0:
        assert image.max() < 60


def test_lamps_keep_their_colour():
    """A shoulder, not a wall: what is twice as bright still is brighter."""
    light = np.full((20, 20, 3), 0.3, np.float32)
    light[0, 0], light[0, 1] = 1.2, 2.0
    image = photo(light)
    assert 124 < image[0, 0, 0] < image[0, 1, 0] < 256


def test_noise_is_of_the_seed():
    light, settings = scene(), CameraSettings(noise=0.01)
    np.testing.assert_array_equal(photo(light, settings, 1), photo(light, settings, 1))
    assert (photo(light, settings, 1) != photo(light, settings, 2)).any()


def test_the_grain_of_a_mid_grey_and_of_the_night():
    """At 0.2, with the gain g it took: noise * (1 + 0.9 log2(1 + g)) * sqrt(0.2 + 0.02)."""
    for level, target in ((0.3, 0.2), (0.003, 0.2 * 0.01**0.3)):
        light = np.full((100, 100, 3), level)
        gain = min(target / (level + 1e-4), 40.0)
        wanted = 0.01 * (1 + 0.9 * np.log2(1 + gain)) * np.sqrt(gain * level + 0.02)
        found = linear(photo(light, CameraSettings(noise=0.01)))
        assert found.std() == pytest.approx(wanted, rel=0.08)
        assert found.mean() == pytest.approx(gain * level, rel=0.05)


def test_vignetting_is_darkest_in_the_corners():
    image = linear(photo(np.full((41, 61, 3), 0.3), CameraSettings(noise=0.0, vignetting=0.4)))[..., 1]
    assert image[20, 30] == pytest.approx(0.2, abs=0.004)
    for corner in (image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]):
        assert corner == pytest.approx(0.6 * 0.2, abs=0.004)
    np.testing.assert_array_equal(image, image[::-1, ::-1])
    assert image[20, 0] == image[0, 30] == pytest.approx(0.2 * (1 - 0.4 * 0.5**1.5), abs=0.004)


@pytest.mark.parametrize("length", [0.51, 1.0, 1.7, 3.0, 4.2, 9.9])
@pytest.mark.parametrize("angle", [0.0, 33.0, 90.0, 135.0, 179.9])
def test_a_moved_hand_keeps_the_light(length, angle):
    kernel = _blur_kernel(length, angle)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel >= 0).all()
    y, x = np.argwhere(kernel > 0).T - kernel.shape[0] // 2
    assert np.hypot(x, y).max() <= length / 2 + 1
    assert (
        abs(np.cross(np.stack([x, y, 0 * x], 1), [np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0])).max() < 1
    )


def test_a_moved_hand_blurs_along_its_way():
    light = np.full((21, 21, 3), 0.1, np.float32)
    light[10, 10] = 0.6
    image = linear(photo(light, CameraSettings(noise=0.0, motion_blur=(5.0, 0.0))))[..., 0]
    assert set(np.argwhere(image > 1.2 * image[0, 0])[:, 0]) == {10}
    np.testing.assert_allclose(image[10, 8:13] / image[0, 0], 2, rtol=0.03)  # 0.5 more over five pixels
    still = photo(light, CameraSettings(noise=0.0, motion_blur=(0.5, 0.0)))
    np.testing.assert_array_equal(still, photo(light))
