"""A street of made-up places for training: each has a texture of its own, each photo its own light and noise."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.places import Places

SIZE = (64, 48)


@pytest.fixture
def street(tmp_path):
    """make(places) -> (database, queries): two database photos 3 and 6 m from each query, places 40 m apart.

    The database was taken on the 1st and the 2nd of May, the queries on the 1st.
    """

    def make(places: int = 5, seed: int = 0, size: tuple[int, int] = SIZE) -> tuple[Places, Places]:
        rng = np.random.default_rng(seed)
        folder = tmp_path / f"street{seed}"
        folder.mkdir()

        def photo(texture: np.ndarray, name: str) -> str:
            image = Image.fromarray(texture).resize(size, Image.Resampling.BICUBIC)
            light, noise = rng.uniform(0.4, 1.0), rng.normal(0, 25, (size[1], size[0], 3))
            pixels = np.clip(np.asarray(image) * light + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name)
            return str(folder / name)

        textures = rng.integers(0, 256, (places, 5, 6, 3), dtype=np.uint8)
        at = 40.0 * np.arange(places)
        held = [photo(textures[i], f"db{i}_{j}.png") for i in range(places) for j in (0, 1)]
        asked = [photo(textures[i], f"q{i}.png") for i in range(places)]
        database = Places.build(
            path=held,
            easting=np.repeat(at, 2) + np.tile([3.0, 6.0], places),
            northing=0.0,
            time=["2025-05-01T12:00:00", "2025-05-02T12:00:00"] * places,
        )
        return database, Places.build(path=asked, easting=at, northing=0.0, time="2025-05-01T12:00:00")

    return make


@pytest.fixture
def network(weights):
    """make(pooling) -> test_resnet with made-up weights, 4 centres where there are any."""
    import torch
    from torch import nn

    import netvlad

    def make(pooling: str = "max", **options):
        model = netvlad.load(f"test_resnet-{pooling}", clusters=4, **options)
        g = torch.Generator().manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # a fresh one that ends a residual block is zero
                for tensor, low in ((module.weight, 0.5), (module.bias, -0.5), (module.running_mean, -0.5)):
                    tensor.data.copy_(torch.rand(tensor.shape, generator=g) + low)
        if hasattr(model.pooling, "initialise"):
            rng = np.random.default_rng(0)
            x = rng.normal(size=(400, model.backbone.dim)).astype(np.float32)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            model.pooling.initialise(x[:4], x)
        return model

    return make
