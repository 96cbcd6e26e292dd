from __future__ import annotations

import inspect
import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import netvlad

FILE = Path(__file__).parents[2] / "integrations" / "hloc" / "netvlad_model.py"
BASE = '''
import torch


class BaseModel(torch.nn.Module):
    """A stand-in: what hloc asks of an extractor."""

    default_conf, required_inputs = {}, []

    def __init__(self, conf):
        super().__init__()
        self._init({**self.default_conf, **conf})

    def forward(self, data):
        assert all(name in data for name in self.required_inputs)
        return self._forward(data)
'''


@pytest.fixture
def extractor(tmp_path, monkeypatch):
    """The class that hloc finds in the file: the only one that is defined there."""
    for package in ("utils", "extractors"):
        (tmp_path / "hloc" / package).mkdir(parents=True)
    (tmp_path / "hloc" / "utils" / "base_model.py").write_text(BASE)
    shutil.copy(FILE, tmp_path / "hloc" / "extractors")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "hloc"]:
        monkeypatch.delitem(sys.modules, name)
    module = import_module("hloc.extractors.netvlad_model")
    (found,) = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    yield found
    for name in [name for name in sys.modules if name.split(".")[0] == "hloc"]:
        del sys.modules[name]


def test_it_gives_the_vectors_of_the_model(extractor, weights):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    model = extractor({"name": "netvlad_model", "model": "test_resnet-max"}).eval().to("cpu")
    found = model({"image": image})["global_descriptor"]
    np.testing.assert_allclose(found.numpy(), netvlad.load("test_resnet-max").describe([pixels]), atol=1e-6)


def test_a_configuration_without_a_model(extractor):
    with pytest.raises(ValueError, match="model"):
        extractor({"name": "netvlad_model"})
