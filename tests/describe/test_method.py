from __future__ import annotations

import numpy as np
import pytest

import netvlad
from netvlad.describe.dense_vlad import DenseVLAD
from netvlad.describe.method import is_trained
from netvlad.describe.wccn import fit_wccn
from netvlad.describe.whitening import fit_whitening
from netvlad.types import Method


def vectors(n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)


def by_cameras(dim: int):
    return fit_wccn(vectors(20, dim), np.arange(20) // 2)


@pytest.mark.parametrize(
    ("pooling", "printed", "dim"),
    [("netvlad", "NetVLAD", 768), ("netvlad2", "NetVLAD", 768), ("vlad", "VLAD", 768), ("max", "max pooling", 192)],
)
def test_a_network(weights, pooling, printed, dim):
    model = netvlad.load(f"test_resnet-{pooling}", clusters=4)
    assert model.method == Method(printed, "test_resnet", dim, whitened=False, trained=False)
    model.backbone.name = "vgg16"
    model.whitening = fit_whitening(vectors(20, dim), 8)
    model.fitted_on["training"] = {"epoch": 3}
    assert model.method == Method(printed, "VGG-16", 8, whitened=True, trained=True)


def test_what_no_published_result_compares_with(weights):
    assert netvlad.load("test_resnet-gem").method is None
    model = netvlad.load("test_resnet-netvlad", clusters=4)
    model.local = by_cameras(192)
    assert model.method is None
    model.local, model.whitening = None, by_cameras(768)
    assert model.method is None


def test_densevlad():
    model = DenseVLAD(clusters=2)
    assert model.method == Method("VLAD", "RootSIFT", 256, whitened=False, trained=False)
    model.whitening = fit_whitening(vectors(20, 256), 8)
    assert model.method == Method("VLAD", "RootSIFT", 8, whitened=True, trained=False)
    model.whitening = by_cameras(256)
    assert model.method is None


def test_trained_here_or_by_the_authors():
    assert is_trained({"training": {}, "seed": 0})
    assert is_trained({"sessionID": "ab12"})
    assert not is_trained({"seed": 0, "photos_given": 9})
