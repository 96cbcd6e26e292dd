from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random batch normalisation: a fresh one is the identity or, ending a residual block, zero, and hides mistakes."""
    g = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.weight, 0.5),
                (module.bias, -0.5),
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
            ):
                tensor.data.copy_(torch.rand(tensor.shape, generator=g) + low)
    return model.eval()


@pytest.fixture(scope="session")
def shaken():
    return shake


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """$NETVLAD_WEIGHTS: an empty folder. A download fails as it does without a network."""
    import timm.models

    def no_network(*args, **options):
        raise OSError("Network is unreachable\nand more lines")

    path = tmp_path / "weights"
    path.mkdir()
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(path))
    monkeypatch.setattr(timm.models, "load_pretrained", no_network)
    monkeypatch.setattr("netvlad.describe.weights.notice_offline", lambda: None)
    return path


# -- networks as the authors of NetVLAD publish them, small ---------------------------------------------------------


def cell(*items):
    """A 1xN cell array, as scipy writes it."""
    array = np.empty((1, len(items)), dtype=object)
    for i, item in enumerate(items):
        array[0, i] = item
    return array


def published(method: str = "vlad", *, whiten: int = 4, groups: bool = False, clusters: int = 3, seed: int = 0) -> dict:
    """A network as it stands in the authors' files: pooling before ReLU, centres negated, whitening a convolution.

    method: vlad, vladv2, max or avg. groups: as in AlexNet, with groups, strides, uneven pads and normalisation.
    """
    rng = np.random.default_rng(seed)

    def conv(name, height, depth, out, **fields):
        filters = rng.normal(size=(height, height, depth, out)).astype(np.float32) / height
        biases = rng.normal(size=(out, 1)).astype(np.float32)
        return {"type": "conv", "name": name, "weights": cell(filters, biases), **fields}

    def l2(name, channels):
        return {"type": "normalize", "name": name, "param": np.array([[2.0 * channels, 1e-12, 1, 0.5]])}

    pad1 = {"pad": np.ones((1, 4)), "stride": np.ones((1, 2))}
    pool = {"type": "pool", "name": "pool1", "method": "max", "pool": np.array([[2.0, 2]]), "stride": 2.0, "pad": 0.0}
    if groups:
        lrn = {"type": "normalize", "name": "norm1", "param": np.array([[3.0, 1, 0.4, 0.75]])}
        pool = {**pool, "pool": 3.0, "pad": np.array([[0.0, 1, 0, 1]])}
        layers = [conv("conv1", 5, 3, 4, stride=2.0, pad=0.0), pool, {"type": "relu", "name": "relu1", "leak": 0.0}]
        layers += [lrn, conv("conv2", 3, 2, 6, pad=np.array([[1.0, 2, 0, 1]]), stride=np.array([[1.0, 2]]))]
    else:
        layers = [conv("conv1_1", 3, 3, 4, **pad1), {"type": "relu", "name": "relu1_1", "leak": 0.0}]
        layers += [conv("conv1_2", 3, 4, 5, **pad1), pool, {"type": "relu", "name": "relu1_2"}]
        layers += [conv("conv2_1", 3, 5, 6, **pad1)]
    whole_l2 = {"type": "custom", "precious": False}
    dim = 6
    if method in ("max", "avg"):
        layers += [{**whole_l2, "name": f"{method}:core"}, {**whole_l2, "name": "postL2"}]
    else:
        w, c = (rng.normal(size=(1, 1, dim, clusters)).astype(np.float32) for _ in range(2))
        b = rng.normal(size=(1, clusters)).astype(np.float32)
        arrays = cell(4 * w, -0.3 * c) if method == "vlad" else cell(4 * w, b, -0.3 * c)
        vlad = {"type": "custom", "name": "vlad:core", "K": float(clusters), "D": 6.0, "weights": arrays}
        layers += [l2("preL2", dim), vlad, l2("vlad:intranorm", dim), {**whole_l2, "name": "postL2"}]
        dim *= clusters
    if whiten:
        u = np.linalg.qr(rng.normal(size=(dim, dim)))[0][:, :whiten] * np.geomspace(3, 9, whiten)
        filters = u.astype(np.float32).reshape(1, 1, dim, whiten)
        utmu = (u.T @ (0.2 * rng.normal(size=(dim, 1)))).astype(np.float32)
        layers += [{"type": "conv", "name": "WPCA", "weights": cell(filters, -utmu), "stride": 1.0, "pad": 0.0}]
        layers += [{**whole_l2, "name": "finalL2"}]
    mean = np.tile(np.array([123.68, 116.779, 103.939]), (2, 2, 1))
    mean[1, 1] = 7  # only the first element is subtracted
    meta = {"netID": "vd16", "sessionID": "ab12_pitts30k", "normalization": {"averageImage": mean}}
    return {"layers": cell(*layers), "meta": meta}


@pytest.fixture(scope="session")
def authors():
    return published
