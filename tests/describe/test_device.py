from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import netvlad
from netvlad.describe.device import VARIABLE, check_device, choose_device, devices, network_device
from netvlad.describe.onnx_describer import OnnxDescriber
from netvlad.errors import ModelError


@pytest.fixture
def two_cards(monkeypatch):
    """As torch sees a machine with two cards of Nvidia's."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def no_card(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_devices_that_are_here(two_cards, monkeypatch):
    assert devices() == ["cpu", "cuda:0", "cuda:1"]
    assert network_device() == "cuda"
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        monkeypatch.setenv(VARIABLE, name)
        assert network_device() == name


@pytest.mark.parametrize("name", ["mps", "cuda:2", "cuda:", "cuda:01", "gpu", "CPU", "", "cuda;rm"])
def test_what_is_not_here_is_refused_with_what_is(two_cards, name):
    with pytest.raises(ModelError) as error:
        check_device(name)
    assert "cpu, cuda:0, cuda:1" in error.value.reason


def test_without_a_card(no_card, monkeypatch):
    assert network_device() == "cpu"
    monkeypatch.setenv(VARIABLE, "")
    assert network_device() == "cpu"
    with pytest.raises(ModelError):
        choose_device("cuda")
    assert not os.environ[VARIABLE]


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check_device("cpu")
    with pytest.raises(ModelError):
        check_device("cuda")


def test_networks_run_where_it_is_said(no_card, weights, monkeypatch):
    monkeypatch.setenv(VARIABLE, "cpu")
    assert netvlad.load("test_resnet-max").device.type == "cpu"
    monkeypatch.setenv(VARIABLE, "cuda")
    with pytest.raises(ModelError):
        netvlad.load("test_resnet-max")


def test_an_onnx_network_says_that_it_runs_on_the_processor(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    monkeypatch.setenv(VARIABLE, "cuda:1")
    with pytest.raises(ModelError) as error:
        OnnxDescriber(tmp_path / "a.onnx")
    assert "cuda:1" in error.value.reason


def test_the_processor_is_chosen_without_torch():
    code = (
        "import sys; from netvlad.describe.device import choose_device as c; c('cpu'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
