from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import netvlad
from netvlad.describe.whitening import fit_projection
from netvlad.images import read_image


@pytest.fixture
def make(weights, photos):
    """make(pooling, whiten=None) -> a small fitted network."""

    def make(pooling: str = "netvlad", whiten: int | None = None):
        model = netvlad.load(f"test_resnet-{pooling}", clusters=4)
        paths = photos(8, seed=3, folder="fitted_on")
        if model.needs_centres:
            netvlad.fit(model, paths, seed=0)
        if whiten:
            model.set_whitening(fit_projection(model.describe(paths), whiten))
        return model

    return make


@pytest.fixture
def pair(photos):
    """Two photos as arrays; the second is of another size."""
    paths = photos(1, seed=1) + photos(1, size=(80, 112), seed=2)
    return [np.array(Image.open(path)) for path in paths]


@pytest.fixture
def holed(pair):
    """The pair with undefined pixels in the upper left of both."""
    found = []
    for image in pair:
        alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
        alpha[:40, :40] = 0
        found.append(np.concatenate([image, alpha], axis=2))
    return found


@pytest.fixture
def features():
    """features(model, image) -> maps (D, L) float64 of unit length, and which of the L locations count."""

    @torch.no_grad()
    def features(model, image):
        maps, mask = model.maps(model.prepare(read_image(image, alpha=True)[None]))
        x = maps[0].flatten(1).cpu().double().numpy()
        counts = np.ones(x.shape[1], bool) if mask is None else mask.flatten().bool().cpu().numpy()
        return x / np.linalg.norm(x, axis=0), counts

    return features
