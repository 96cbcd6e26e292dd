from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import netvlad

FILE = Path(__file__).parents[2] / "integrations" / "rtabmap" / "netvlad_descriptor.py"


@pytest.fixture
def script(monkeypatch, weights):
    """The file as RTAB-Map imports it."""
    spec = importlib.util.spec_from_file_location("netvlad_descriptor", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("NETVLAD_MODEL", "test_resnet-max")
    return module


@pytest.fixture
def frame():
    """A frame (40, 50, 3) RGB."""
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def test_frames_come_as_signed_bytes_in_the_order_of_opencv(script, frame):
    whole = netvlad.load("test_resnet-max")
    script.init(whole.dim)
    found = script.extract(frame[..., ::-1].copy().view(np.int8))
    assert (found.shape, found.dtype) == ((1, whole.dim), np.float32)
    np.testing.assert_allclose(found, whole.describe([frame]), atol=1e-6)


def test_grey_frames_and_fewer_numbers(script, frame):
    whole = netvlad.load("test_resnet-max")
    script.init(5)
    grey = frame[..., :1]
    found = script.extract(grey.view(np.int8))
    want = whole.describe([np.repeat(grey, 3, axis=2)])[:, :5]
    np.testing.assert_allclose(found, want / np.linalg.norm(want), atol=1e-6)


def test_wrong_use(script, frame, monkeypatch):
    with pytest.raises(RuntimeError, match="init"):
        script.extract(frame)
    with pytest.raises(ValueError, match="100000"):
        script.init(100000)
    monkeypatch.delenv("NETVLAD_MODEL")
    with pytest.raises(ValueError, match="NETVLAD_MODEL"):
        script.init(5)
