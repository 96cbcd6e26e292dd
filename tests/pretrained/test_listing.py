from __future__ import annotations

from netvlad.pretrained.catalogue import BACKBONES
from netvlad.pretrained.listing import listed_backbones, listed_models


def test_known_backbones_without_loading_any(folder):
    (folder / "resnet18.tv_in1k.to_layer3.pth").write_bytes(b"never read")
    (folder / "vgg16.mine.pth").write_bytes(b"never read")
    found = {k.backbone: k for k in listed_backbones()}
    assert list(found) == list(BACKBONES)
    dims = {name: (k.stage, k.dim, k.stride) for name, k in found.items()}
    assert dims == {
        "vgg16": ("conv5_3", 512, 16),
        "alexnet": ("conv5", 256, 16),
        "resnet18": ("layer3", 256, 16),
        "resnet50": ("layer3", 1024, 16),
        "mobilenetv3_large_100": ("blocks.4", 112, 16),
        "vit_small_patch14_dinov2": ("blocks.11", 384, 14),
        "vit_base_patch14_dinov2": ("blocks.11", 768, 14),
    }
    assert found["resnet18"].weights == "file resnet18.tv_in1k.to_layer3.pth"
    assert found["resnet18"].licence == "bsd-3-clause"
    assert found["vgg16"].licence == "not stated"
    assert found["vit_small_patch14_dinov2"].weights == "download timm/vit_small_patch14_dinov2.lvd142m"
    assert found["vit_small_patch14_dinov2"].licence == "apache-2.0"


def test_whether_weights_of_torch_hub_are_here(folder, cache, tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def here(name):
        return next(m.here for m in listed_models() if m.name == name)

    assert here("megaloc") == "torch.hub gmberton/MegaLoc"
    (folder / "megaloc.torch").touch()
    assert here("megaloc") == "here: megaloc.torch"
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "dino_salad.ckpt").touch()
    assert here("salad") == "here, in the cache"
