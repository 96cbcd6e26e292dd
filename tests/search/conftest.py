"""A describer that needs no network, and places with photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netvlad.images import read_image
from netvlad.places import Places


class Grid:
    """Mean colours of a 4x4 grid, about grey, normalised: 48-D. `after` n calls of `describe` it raises `error`."""

    name, dim, resize, ready = "grid", 48, None, True

    def __init__(self, identity: str = "grid-of-colours", after: int | None = None, error=KeyboardInterrupt):
        self.identity, self.left, self.error = identity, after, error

    def describe(self, images) -> np.ndarray:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise self.error
        out = np.zeros((len(images), self.dim), np.float32)
        for row, image in enumerate(images):
            pixels = read_image(image).astype(np.float32) - 127
            rows = np.array_split(pixels, 4)
            means = [part.mean(axis=(0, 1)) for r in rows for part in np.array_split(r, 4, axis=1)]
            vector = np.concatenate(means)
            out[row] = vector / np.linalg.norm(vector)
        return out

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "grid.txt").write_text(self.identity)
        return folder


@pytest.fixture
def grid():
    return Grid


@pytest.fixture
def street(photos):
    """make(n, seed=0) -> Places of n photos, 11 m from one to the next going north, a second apart."""

    def make(n: int, seed: int = 0, **more) -> Places:
        paths = photos(n, seed=seed, size=(32, 24))
        time = np.datetime64("2025-12-22T10:00:00", "s") + np.arange(n)
        return Places.build(path=paths, **{"lat": 31.26 + 1e-4 * np.arange(n), "lon": 34.8, "time": time, **more})

    return make


@pytest.fixture
def walks(tmp_path):
    """make(days, each) -> Places of photos whose grid of colours tells the place, more or less: an index of them
    gives right answers and wrong ones."""
    from PIL import Image

    def make(days: int, each: int, seed: int = 0) -> Places:
        rng = np.random.default_rng(0)  # the street is always the same
        waves, phases = rng.normal(size=48) / 18, rng.uniform(0, 2 * np.pi, 48)
        rng = np.random.default_rng([seed, 1])
        metres = np.concatenate([np.sort(rng.uniform(0, 800, each)) for _ in range(days)])
        colours = np.cos(metres[:, None] * waves + phases)
        colours += rng.normal(size=colours.shape) * rng.uniform(0.1, 4, (len(metres), 1))
        colours = np.clip(127 + 40 * colours, 0, 255).astype(np.uint8).reshape(-1, 4, 4, 3)
        folder = tmp_path / f"walks{seed}"
        folder.mkdir()
        paths = [folder / f"{i:04d}.png" for i in range(len(metres))]
        for path, colour in zip(paths, colours, strict=True):
            Image.fromarray(colour.repeat(4, 0).repeat(4, 1)).save(path)
        day, second = np.divmod(np.arange(days * each), each)
        time = np.datetime64("2025-01-01T10:00:00", "s") + 86400 * (day + 100 * seed) + second
        return Places.build(path=paths, easting=metres, northing=0.0, time=time)

    return make
