"""From light to a photo: exposure, white balance, noise, blur, vignetting."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Lens:
    """How a photo was taken.

    exposure: stops above what the camera's meter would choose; balance: gains of red, green, blue; noise: grain of a
    mid-grey by daylight; vignette: share of light lost in the corners; smear: (pixels, degrees) the hand moved.
    """

    exposure: float = 0.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 0.006
    vignette: float = 0.0
    smear: tuple[float, float] = (0.0, 0.0)


def develop(light: np.ndarray, lens: Lens, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) linear light -> (H, W, 3) uint8 sRGB.

    The meter looks at the mean logarithm, as a camera does: night comes out darker than day, not black.
    """
    light = np.maximum(light, 0).astype(np.float32)
    if lens.smear[0] > 0.5:
        light = cv2.filter2D(light, -1, _line(*lens.smear), borderType=cv2.BORDER_REPLICATE)
    mean = float(np.exp(np.log(light.mean(axis=-1) + 1e-4).mean()))
    target = 0.20 * min(1.0, mean / 0.3) ** 0.3
    gain = min(target / mean, 40.0) * 2.0**lens.exposure
    light = light * (gain * np.array(lens.balance, np.float32))
    if lens.vignette:
        light *= _falloff(*light.shape[:2], lens.vignette)
    grain = lens.noise * (1 + 0.9 * np.log2(1 + gain))  # of a short exposure to little light
    light = light + rng.standard_normal(light.shape, dtype=np.float32) * grain * np.sqrt(np.maximum(light, 0) + 0.02)
    # a shoulder keeps lamps and sky from turning into flat white
    light = np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.55), light)
    light = np.clip(light, 0, 1)
    coded = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (coded * 255 + 0.5).astype(np.uint8)


def _line(length: float, angle: float) -> np.ndarray:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    step = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * length / 2
    a, b = (middle - step) * 16, (middle + step) * 16
    cv2.line(kernel, np.round(a).astype(int).tolist(), np.round(b).astype(int).tolist(), 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()


def _falloff(height: int, width: int, loss: float) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (1 - loss * ((x**2 + y**2) / 2) ** 1.5)[..., None].astype(np.float32)
