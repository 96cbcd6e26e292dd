"""Turns light into a photo: exposure, white balance, noise, motion blur, vignetting, tone curve."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from netvlad.types import Array, FloatArray


@dataclass(frozen=True)
class CameraSettings:
    """How a photo is taken.

    exposure: stops above what the camera's meter chooses. white_balance: gains of red, green, blue. noise: grain of a
    mid-grey by daylight. vignetting: share of light lost in the corners. motion_blur: (pixels, degrees) of hand shake.
    """

    exposure: float = 0.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 0.006
    vignetting: float = 0.0
    motion_blur: tuple[float, float] = (0.0, 0.0)


def apply_camera(light: Array, settings: CameraSettings, rng: np.random.Generator) -> Array:
    """Convert linear light (H, W, 3) to sRGB (H, W, 3) uint8.

    Exposure follows the mean logarithm of the light and gives in to darkness, so night photos are darker than day
    photos but not black.
    """
    light = np.maximum(light, 0).astype(np.float32)
    if settings.motion_blur[0] > 0.5:
        light = cv2.filter2D(light, -1, _blur_kernel(*settings.motion_blur), borderType=cv2.BORDER_REPLICATE)
    mean = float(np.exp(np.log(light.mean(axis=-1) + 1e-4).mean()))
    target = 0.20 * min(1.0, mean / 0.3) ** 0.3
    gain = min(target / mean, 40.0) * 2.0**settings.exposure
    light = light * (gain * np.array(settings.white_balance, np.float32))
    if settings.vignetting:
        light *= _vignetting(light.shape[0], light.shape[1], settings.vignetting)
    grain = settings.noise * (1 + 0.9 * np.log2(1 + gain))  # little light is amplified, grain included
    light = light + rng.standard_normal(light.shape, dtype=np.float32) * grain * np.sqrt(np.maximum(light, 0) + 0.02)
    # the shoulder of the tone curve keeps lamps and sky from turning into flat white
    light = np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.55), light)
    light = np.clip(light, 0, 1)
    coded = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(coded * 255 + 0.5, np.uint8)


def _blur_kernel(length: float, angle: float) -> FloatArray:
    """A line of `length` pixels at `angle` degrees, which sums to 1."""
    size = int(np.ceil(length)) | 1
    kernel: FloatArray = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    step = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * length / 2
    a, b = (middle - step) * 16, (middle + step) * 16
    cv2.line(kernel, np.round(a).astype(int).tolist(), np.round(b).astype(int).tolist(), 1.0, 1, cv2.LINE_AA, 4)
    kernel /= kernel.sum()
    return kernel


def _vignetting(height: int, width: int, loss: float) -> FloatArray:
    """Factor (height, width, 1): 1 in the middle, 1 - loss in the corners."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray((1 - loss * ((x**2 + y**2) / 2) ** 1.5)[..., None], np.float32)
