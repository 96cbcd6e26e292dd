from __future__ import annotations

import pytest
import torch

from netvlad.describe.backbone import Backbone
from netvlad.errors import ModelError
from netvlad.training.split import default_start, split


def cropped(name: str, stage: str | None = None) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(name, stage)
        backbone.crop()
    return backbone


def names(backbone: Backbone, modules) -> list[str]:
    known = {module: name for name, module in backbone.body.named_modules()}
    return [known[module] for module in modules]


@pytest.mark.parametrize(
    ("name", "stage", "start", "trained"),
    [
        ("test_resnet", None, "layer3", ["layer3"]),
        ("test_resnet", None, "layer2", ["layer2", "layer3"]),
        ("test_resnet", "layer4", "layer3.0", ["layer3.0", "layer4"]),
        ("test_resnet", None, "conv1", None),  # all of it
        ("alexnet", None, "conv5", ["features.10", "features.11"]),
        ("test_vit", None, "blocks.4", ["blocks.4", "blocks.5", "norm"]),
        ("test_vit", "blocks.3", "blocks.2", ["blocks.2", "blocks.3"]),
        ("test_convnext", None, "stages.1", ["stages.1", "stages.2"]),
        ("test_efficientnet", None, "blocks.3", ["blocks.3"]),
    ],
)
@torch.no_grad()
def test_the_parts_make_the_whole(name, stage, start, trained):
    backbone = cropped(name, stage)
    parts = split(backbone, start)
    assert parts.start == start
    if trained:
        assert names(backbone, parts.trained) == trained
    else:
        numbers = {id(p) for m in parts.trained for p in m.parameters()}
        assert numbers == {id(p) for p in backbone.parameters()}
    for size in ((64, 96), (80, 64), (100, 75)):  # of the last a ViT takes the nearest whole number of patches
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(parts.above(parts.below(x), size), backbone(x), rtol=1e-4, atol=1e-5)


def test_no_gradient_comes_from_below():
    parts = split(cropped("test_resnet"), "layer3")
    entered = parts.below(torch.rand(1, 3, 64, 64))
    assert not entered.requires_grad
    assert parts.above(entered, (64, 64)).requires_grad


def test_the_pooling_alone():
    backbone = cropped("test_resnet")
    parts = split(backbone, "pooling")
    x = torch.rand(1, 3, 64, 64)
    maps = parts.below(x)
    with torch.no_grad():
        torch.testing.assert_close(maps, backbone(x))
    assert parts.above(maps, (64, 64)) is maps
    assert parts.trained == ()


def test_a_backbone_that_cannot_be_cut_there_is_run_whole():
    backbone = cropped("test_resnet")
    parts = split(backbone, "layer3.0.conv2")  # a residual runs around it
    assert parts.below is None
    assert "layer3.0.conv2" in names(backbone, parts.trained)
    assert "layer3.0.conv1" not in names(backbone, parts.trained)
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(parts.above(x, (64, 64)), backbone(x))


def test_splitting_leaves_the_backbone_as_it_was():
    backbone = cropped("test_resnet")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.train()
    split(backbone, "layer2")
    assert backbone.training
    for key, tensor in backbone.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
    assert not any(m._forward_pre_hooks for m in backbone.modules())


def test_where_the_paper_starts():
    with torch.device("meta"):
        backbones = {name: Backbone(name) for name in ("vgg16", "vgg16.tv_in1k", "alexnet", "resnet18", "test_vit")}
        backbones["kept"] = Backbone("resnet18", "layer2+act")
    assert {name: default_start(backbone) for name, backbone in backbones.items()} == {
        "vgg16": "conv5_1",
        "vgg16.tv_in1k": "conv5_1",
        "alexnet": "conv2",
        "resnet18": "layer3",
        "test_vit": "blocks.5",
        "kept": "layer2",
    }


def test_the_papers_layers_by_their_names():
    backbone = cropped("alexnet")
    parts = split(backbone)
    assert parts.start == "conv2"
    assert sum(p.numel() for m in parts.trained for p in m.parameters()) == 2_446_400  # conv2 to conv5


@pytest.mark.parametrize(
    ("start", "message"), [("layer4", "plays no part in test_resnet cropped at layer3"), ("x", "")]
)
def test_a_part_that_is_not_there(start, message):
    with pytest.raises(ModelError, match=f"{message}.*no part '{start}' .* one of .*layer1, layer2, layer3, pooling"):
        split(cropped("test_resnet"), start)
