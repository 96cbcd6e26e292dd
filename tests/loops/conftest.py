from __future__ import annotations

import numpy as np
import pytest

from netvlad.types import FloatArray


class ByColour:
    """A describer for tests: photos of one colour (place) are alike, others are far apart, all with a little noise."""

    name, dim, resize, smallest, takes_masks, identity, method = "colour", 512, None, 1, False, "colour-1", None

    def describe(self, images) -> FloatArray:
        out = []
        for image in images:
            pixels = np.asarray(image)
            place = np.random.default_rng(int(pixels[0, 0, 0])).normal(size=self.dim)
            noise = 0.3 * np.random.default_rng(int(pixels.sum()) + 7).normal(size=self.dim)
            out.append((place + noise) / np.linalg.norm(place + noise))
        return np.array(out, np.float32)


@pytest.fixture
def model() -> ByColour:
    return ByColour()


def scene(place: int, look: int = 0, size: int = 96) -> np.ndarray:
    """A photo of a place full of boxes; `look` shifts it and changes a corner."""
    rng = np.random.default_rng(place)
    image = np.full((size + 8, size + 8, 3), 90, np.uint8)
    for _ in range(60):
        x, y, w, h = rng.integers(0, size - 6), rng.integers(0, size - 6), *rng.integers(4, 16, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    image = image[look % 4 : look % 4 + size, look % 3 : look % 3 + size].copy()
    image[0, 0] = place % 256
    image[-1, -1] = look
    return image


@pytest.fixture(scope="session")
def see():
    return scene
