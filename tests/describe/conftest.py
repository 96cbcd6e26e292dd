from __future__ import annotations

from pathlib import Path

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
