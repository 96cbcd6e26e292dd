"""Fixtures: real photos and weights where they are at hand, small made-up ones everywhere."""

from __future__ import annotations

import os

# networks this small are faster on one thread, and much faster where other work shares the cores; read by torch and
# faiss when they are loaded
os.environ.setdefault("OMP_NUM_THREADS", "1")

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest_plugins = [
    "fixtures.commands",
    "fixtures.hugging_face",
    "fixtures.object_store",
    "fixtures.panoramax",
    "fixtures.places",
    "fixtures.plugins",
    "fixtures.rankers",
    "fixtures.street_services",
    "fixtures.xfeat",
]
if find_spec("torch"):  # the tests of runtime, images, places and panoramas run without it
    pytest_plugins.append("fixtures.networks")

SHARED = Path(os.environ.get("NETVLAD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def _shared(part: str) -> Path:
    folder = SHARED / part
    if not folder.is_dir():
        pytest.skip(f"needs the real files of {folder}, which are not here (set NETVLAD_SHARED to their folder)")
    return folder


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if {"campus", "real_weights"} & set(item.fixturenames):
            item.add_marker("real_data")
        if "kill" in item.name.lower():
            item.add_marker("kill")


@pytest.fixture(scope="session")
def campus() -> Path:
    """Folder of real geotagged campus photos, by day and by night."""
    return _shared("data/campus")


@pytest.fixture
def real_weights(monkeypatch) -> Path:
    """Folder of real backbone weights, set as $NETVLAD_WEIGHTS."""
    folder = _shared("weights")
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(folder))
    return folder


@pytest.fixture(scope="session")
def made_up_weights(tmp_path_factory) -> Path:
    """A folder with random weights of timm's smallest ResNet, for tests that need a network but no real one."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    save_file(model.state_dict(), folder / "test_resnet.made_up.safetensors")
    return folder


@pytest.fixture
def weights(made_up_weights, monkeypatch) -> Path:
    """$NETVLAD_WEIGHTS set to the made-up weights: `netvlad.load("test_resnet-netvlad")` works."""
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(made_up_weights))
    return made_up_weights


@pytest.fixture
def photos(tmp_path):
    """make(n, size=(96, 72), seed=0) -> n paths of distinct random textures, JPEG."""

    def make(n: int, size: tuple[int, int] = (96, 72), seed: int = 0, folder: str = "photos") -> list[str]:
        rng = np.random.default_rng(seed)
        (tmp_path / folder).mkdir(exist_ok=True)
        paths = []
        for i in range(n):
            coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            path = tmp_path / folder / f"{seed}_{i:04d}.jpg"
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
            paths.append(str(path))
        return paths

    return make


@pytest.fixture
def assert_same_places():
    """Assert that two tables agree in every column, to the last bit and in type."""
    from netvlad.places.table import COLUMNS

    def check(a, b) -> None:
        for name in COLUMNS:
            one, other = getattr(a, name), getattr(b, name)
            assert one.dtype == other.dtype, name
            np.testing.assert_array_equal(one, other, err_msg=name)

    return check
