"""What the tries start from, drawn by the code: photos with positions, a small model, small maps."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from netvlad.places import Places

SIZE = (48, 32)


def draw_photos(folder: Path, places: int, views: int, seed: int) -> list[str]:
    """`views` photos of each of so many places, distinct, JPEG; the views of a place stand together."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(seed), []
    for place in range(places):
        texture = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(texture).resize(SIZE, Image.Resampling.BICUBIC))
        for view in range(views):
            seen = np.clip(pixels * rng.uniform(0.6, 1.0) + rng.normal(0, 8, pixels.shape), 0, 255)
            path = folder / f"{place:03d}_{view}.jpg"
            Image.fromarray(seen.astype(np.uint8)).save(path, quality=92)
            paths.append(str(path))
    return paths


def street(paths: list[str], views: int) -> Places:
    """Their places: 60 m apart, each view on another day."""
    at = 60.0 * (np.arange(len(paths)) // views)
    days = [f"2025-05-{1 + i % views:02}T12:00:00" for i in range(len(paths))]
    return Places.build(path=paths, lat=31.26 + at / 111_000, lon=34.8, time=days)


def write_weights(folder: Path) -> None:
    """Random weights of timm's smallest ResNet, as a folder of $NETVLAD_WEIGHTS."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    save_file(model.state_dict(), folder / "test_resnet.made_up.safetensors")


def write_model(weights: Path, folder: Path, paths: list[str], clusters: int = 4) -> None:
    """A NetVLAD fitted on photos."""
    import netvlad

    os.environ["NETVLAD_WEIGHTS"] = str(weights)
    model = netvlad.load("test_resnet-netvlad", clusters=clusters)
    netvlad.fit(model, paths, workers=0)
    model.save(folder)


@lru_cache(maxsize=1)
def warm() -> None:
    """Import what the commands import, so that a fork has it; nothing here may start a thread."""
    import faiss
    import lance
    import pyarrow.parquet
    import scipy.io
    import scipy.optimize
    import timm.models.resnet
    import torch
    from PIL import Image

    import netvlad.benchmarks.dbstruct
    import netvlad.cli.common
    import netvlad.cli.main
    import netvlad.describe.fit
    import netvlad.describe.stream
    import netvlad.maps.index
    import netvlad.places.io.readers
    import netvlad.pretrained.zoo
    import netvlad.training
    import netvlad.training.trainer

    torch.set_num_threads(1)
    Image.init()  # all of Pillow's formats
    warnings.filterwarnings("ignore", message="lance is not fork-safe")  # it is, before its first use
    assert all((faiss, lance, pyarrow.parquet, scipy.io, scipy.optimize, timm.models.resnet, netvlad))
