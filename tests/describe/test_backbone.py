from __future__ import annotations

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from netvlad.describe.backbone import Backbone, load_backbone
from netvlad.errors import ModelError


def photo(*size: int, n: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def around(model: nn.Module, activation: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What goes into and comes out of one activation of a whole model."""
    seen = {}
    hooks = [
        activation.register_forward_pre_hook(lambda m, args: seen.update(before=args[0].clone())),
        activation.register_forward_hook(lambda m, args, out: seen.update(after=out.clone())),
    ]
    model.forward_features(x) if hasattr(model, "forward_features") else model(x)
    for hook in hooks:
        hook.remove()
    return seen["before"], seen["after"]


@pytest.mark.parametrize(
    ("name", "stage", "activation"),
    [
        ("test_resnet", None, "layer3.0.act3"),
        ("test_resnet", "layer4", "layer4.0.act2"),
        ("resnet18", None, "layer3.1.act2"),
        ("resnet18", "layer1", "layer1.1.act2"),
        ("mobilenetv3_small_050", "blocks.5", "blocks.5.0.bn1.act"),
    ],
)
def test_the_crop_ends_before_its_activation(shaken, name, stage, activation):
    backbone = Backbone(name, stage)
    whole = copy.deepcopy(shaken(backbone.body))
    before, after = around(whole, whole.get_submodule(activation), photo(96, 64))
    backbone.crop()
    with torch.no_grad():
        maps = backbone(photo(96, 64))
    torch.testing.assert_close(maps, before, rtol=1e-5, atol=1e-5)
    assert maps.shape == (2, backbone.dim, 96 // backbone.stride, 64 // backbone.stride)
    assert (maps < after - 0.1).any()  # the activation would have changed it

    kept = Backbone(name, f"{backbone.stage}+act")
    kept.body.load_state_dict(whole.state_dict())
    kept.crop()
    with torch.no_grad():
        torch.testing.assert_close(kept(photo(96, 64)), after, rtol=1e-5, atol=1e-5)
    assert kept.stage == f"{backbone.stage}+act"
    assert backbone.dim == kept.dim


def test_vgg_ends_with_its_last_convolution():
    backbone = Backbone("vgg11")
    assert (backbone.stage, backbone.dim, backbone.stride) == ("features.19", 512, 16)
    features = copy.deepcopy(backbone.body.features)
    backbone.crop()
    x = photo(48, 64, n=1)
    with torch.no_grad():
        expected = x
        for module in features[:18]:
            expected = module(expected.clone())
        expected = F.conv2d(expected, features[18].weight, features[18].bias, padding=1)
        found = backbone(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert (found < 0).any()
    assert not any(isinstance(m, nn.MaxPool2d) for m in backbone.body.features[18:])
    assert sum(p.numel() for p in backbone.parameters()) == 9_220_480  # the convolutions alone


def test_the_papers_stages_by_their_names():
    with torch.device("meta"):
        vgg, conv5_3 = Backbone("vgg16"), Backbone("vgg16", "conv5_3")
    assert (vgg.stage, vgg.dim, vgg.stride) == (conv5_3.stage, conv5_3.dim, conv5_3.stride) == ("conv5_3", 512, 16)
    with torch.device("meta"):
        assert Backbone("vgg16", "features.29").index == vgg.index
        assert Backbone("vgg16", "conv5_3+act").stage == "conv5_3+act"
    convolutions = [m for m in vgg.body.features if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert vgg.body.features[28] is convolutions[-1]
    assert isinstance(vgg.body.features[29], nn.ReLU)


@torch.no_grad()
def test_vit_hands_on_its_normalised_patch_tokens():
    backbone = Backbone("vit_tiny_patch16_224")
    whole = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()  # one size only
    whole.load_state_dict(backbone.body.state_dict())
    backbone.crop()
    x = photo(224, 224, n=1)
    tokens = whole.forward_features(x)
    assert tokens.shape == (1, 1 + 14 * 14, 192)
    torch.testing.assert_close(backbone(x), tokens[:, 1:].transpose(1, 2).reshape(1, 192, 14, 14), rtol=1e-4, atol=1e-4)
    assert (backbone.stage, backbone.dim, backbone.stride) == ("blocks.11", 192, 16)


@torch.no_grad()
def test_an_inner_block_of_a_vit_is_not_normalised():
    backbone = Backbone("test_vit", "blocks.2")
    whole = copy.deepcopy(backbone.body).eval()
    backbone.crop()
    assert len(backbone.body.blocks) == 3
    x, seen = photo(160, 160), []
    whole.blocks[2].register_forward_hook(lambda m, args, out: seen.append(out))
    whole.forward_features(x)
    patches = seen[0][:, -100:].transpose(1, 2).reshape(2, 64, 10, 10)
    torch.testing.assert_close(backbone(x), patches, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_vit_scales_photos_to_whole_patches():
    backbone = Backbone("test_vit")
    backbone.crop()
    x = photo(100, 75)  # 6.25 x 4.7 patches of 16
    from torchvision.transforms.functional import InterpolationMode, resize

    scaled = resize(x, [96, 80], InterpolationMode.BILINEAR, antialias=True)
    torch.testing.assert_close(backbone(x), backbone(scaled), rtol=1e-4, atol=1e-5)
    assert backbone(x).shape == (2, 64, 6, 5)
    assert backbone(photo(16, 16)).shape == (2, 64, 1, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "expected"), [((97, 131), (7, 9)), ((16, 16), (1, 1)), ((17, 160), (2, 10)), ((240, 16), (15, 1))]
)
def test_photos_of_odd_sizes(size, expected):
    backbone = Backbone("test_resnet")
    backbone.crop()
    maps = backbone(photo(*size))
    assert maps.shape == (2, 192, *expected)
    torch.testing.assert_close(backbone(photo(*size)[1:]), maps[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "least"),
    [("test_resnet", (15, 40), 16), ("test_vit", (40, 15), 16), ("alexnet", (30, 64), 31), ("test_resnet", (0, 0), 16)],
)
def test_photos_that_are_too_small(name, size, least):
    backbone = Backbone(name)
    backbone.crop()
    with pytest.raises(ModelError, match=f"at least {least} pixels a side, got {size[1]}x{size[0]}"):
        backbone(photo(*size))


# -- stages and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stage", "dim", "stride"),
    [
        ("test_resnet", "layer3", 192, 16),
        ("resnet18", "layer3", 256, 16),
        ("mobilenetv3_small_050", "blocks.3", 24, 16),
        ("test_vit", "blocks.5", 64, 16),
        ("test_convnext", "stages.2", 48, 16),
        ("test_efficientnet", "blocks.3", 48, 16),
        ("vit_small_patch14_dinov2", "blocks.11", 384, 14),
    ],
)
def test_the_deepest_stage_of_stride_16_by_default(name, stage, dim, stride):
    with torch.device("meta"):
        backbone = Backbone(name)
    assert (backbone.stage, backbone.dim, backbone.stride) == (stage, dim, stride)
    with torch.device("meta"):
        assert Backbone(name, "").stage == Backbone(name, stage).stage == stage
        assert Backbone(name, "+act").stage == f"{stage}+act"


@pytest.mark.parametrize(
    "name", ["test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_nfnet", "test_vit3"]
)
def test_backbones_of_other_families(name):
    backbone = Backbone(name)
    backbone.crop()
    with torch.no_grad():
        maps = backbone(photo(96, 128))
    assert maps.shape == (2, backbone.dim, 6, 8)
    assert (maps < 0).any()


def test_a_stage_that_does_not_exist_lists_those_that_do():
    with pytest.raises(ModelError, match=r"test_resnet has no stage 'layer9'; choose one of .*layer1, .*layer4$"):
        Backbone("test_resnet", "layer9")
    with pytest.raises(ModelError, match="no stage 'conv5_3'"):  # another backbone's
        Backbone("test_resnet", "conv5_3+act")


@pytest.mark.parametrize(
    ("name", "close"),
    [("resnt18", "resnet18"), ("alexnt", "alexnet"), ("vgg", "vgg16"), ("resnet18_x.tv_in1k", "resnet18")],
)
def test_a_backbone_that_does_not_exist_names_close_ones(name, close):
    with pytest.raises(ModelError, match=f"no backbone is called '{name}'; close: .*{close}"):
        Backbone(name)


@pytest.mark.parametrize("name", ["", "xyzzyq", "hf-hub:timm/resnet18"])
def test_a_backbone_that_is_like_none(name):
    with pytest.raises(ModelError, match=f"no backbone is called '{name}'"):
        Backbone(name)


@pytest.mark.parametrize("name", ["test_coatnet", "test_maxvit", "test_vit_relpos"])
def test_backbones_for_one_size_only_say_so(name):
    backbone = Backbone(name)
    with pytest.raises(ModelError, match=f"{name} does not take photos of any size .*choose another backbone"):
        backbone.crop()


def test_an_activation_used_twice_is_not_dropped_in_silence():
    backbone = Backbone("res2net50_14w_8s")  # one ReLU module for all of a block
    with pytest.raises(ModelError, match="used elsewhere too"):
        backbone.crop()


# -- weights --------------------------------------------------------------------------------------------------------


def keep(state: dict, file) -> None:
    torch.save(state, file)


def fresh(name: str) -> dict:
    return timm.create_model(name, num_classes=0).state_dict()


def test_weights_are_loaded_and_known(folder):
    import hashlib

    state = fresh("test_resnet")
    keep(state, folder / "test_resnet.mine.pth")
    backbone = load_backbone("test_resnet")
    for key, tensor in backbone.body.state_dict().items():
        torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)
    digest = hashlib.sha256((folder / "test_resnet.mine.pth").read_bytes()).hexdigest()
    assert backbone.provenance["file"] == "test_resnet.mine.pth"
    assert backbone.provenance["sha256"] == digest
    assert "apache" not in backbone.provenance["licence"]  # not timm's, so timm's licence is not claimed
    assert not backbone.training


def test_preprocessing_belongs_to_the_weights(folder):
    # of the two that timm has for resnet18d, one wants (0.5, 0.5, 0.5)
    keep(fresh("resnet18d"), folder / "resnet18d.ra4_e3600_r224_in1k.to_layer3.pth")
    backbone = load_backbone("resnet18d")
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    assert backbone.provenance["licence"] == "apache-2.0"
    for named in ("resnet18d.ra4_e3600_r224_in1k", "resnet18d.ra4_e3600_r224_in1k.to_layer3"):
        assert load_backbone(named).mean == (0.5, 0.5, 0.5)
    (folder / "resnet18d.ra4_e3600_r224_in1k.to_layer3.pth").rename(folder / "resnet18d.mine.pth")
    assert load_backbone("resnet18d").mean == (0.485, 0.456, 0.406)


def test_a_checkpoint_of_the_cropped_backbone_is_enough(folder):
    state = {k: v for k, v in fresh("test_resnet").items() if not k.startswith("layer4")}
    keep(state, folder / "test_resnet.to_layer3.pth")
    assert load_backbone("test_resnet").stage == "layer3"
    with pytest.raises(ModelError, match=r"test_resnet\.to_layer3\.pth: lacks .*the first 'layer4"):
        load_backbone("test_resnet", "layer4")


def test_without_weights_it_says_what_to_do_and_is_never_random(folder, monkeypatch):
    with pytest.raises(ModelError) as error:
        load_backbone("test_resnet")
    message = str(error.value)
    assert message.startswith("no weights for test_resnet: no test_resnet*.safetensors or test_resnet*.pth in")
    assert str(folder) in message
    assert "OSError: Network is unreachable)" in message
    assert "test_resnet.safetensors or test_resnet.pth into a folder and set NETVLAD_WEIGHTS" in message
    monkeypatch.delenv("NETVLAD_WEIGHTS")
    with pytest.raises(ModelError, match="NETVLAD_WEIGHTS is not set, and the download failed"):
        load_backbone("test_resnet")


def test_a_download_that_fails_without_a_word(folder, monkeypatch):
    def times_out(*args, **options):
        raise TimeoutError

    monkeypatch.setattr("timm.models.load_pretrained", times_out)
    with pytest.raises(ModelError, match=r"download failed .*TimeoutError"):
        load_backbone("test_resnet")


def test_a_download_is_named_by_its_source(folder, monkeypatch):
    def download(model, num_classes):
        assert num_classes == 0
        nn.init.constant_(model.conv1[0].weight, 7)

    monkeypatch.setattr("timm.models.load_pretrained", download)
    backbone = load_backbone("resnet18d.ra4_e3600_r224_in1k")
    assert backbone.body.conv1[0].weight.eq(7).all()
    assert backbone.mean == (0.5, 0.5, 0.5)
    assert backbone.provenance == {
        "source": "timm/resnet18d.ra4_e3600_r224_in1k",
        "tag": "ra4_e3600_r224_in1k",
        "licence": "apache-2.0",
    }


# -- real weights ---------------------------------------------------------------------------------------------------


def test_the_real_resnet(real_weights):
    backbone = load_backbone("resnet18")
    assert backbone.provenance["file"] == "resnet18.tv_in1k.to_layer3.pth"
    assert backbone.provenance["licence"] == "bsd-3-clause"
    assert (backbone.mean, backbone.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (backbone.stage, backbone.dim) == ("layer3", 256)
    with pytest.raises(ModelError, match=r"lacks .*'layer4"):
        load_backbone("resnet18", "layer4")


@torch.no_grad()
def test_the_real_vit(real_weights):
    from safetensors.torch import load_file

    backbone = load_backbone("vit_small_patch14_dinov2")
    assert backbone.provenance["file"] == "vit_small_patch14_dinov2.depth_anything_v2.safetensors"
    assert backbone.provenance["licence"] in ("see its source", "not stated")
    whole = timm.create_model("vit_small_patch14_dinov2.lvd142m", num_classes=0, img_size=(56, 70)).eval()
    state = load_file(real_weights / backbone.provenance["file"])
    size = state["pos_embed"].shape
    state = timm.models.vision_transformer.checkpoint_filter_fn(state, whole)
    whole.load_state_dict({k: v.float() for k, v in state.items()}, strict=True)
    assert size == backbone.body.pos_embed.shape
    x = photo(56, 70, n=1)
    expected = whole.forward_features(x)[:, 1:].transpose(1, 2).reshape(1, 384, 4, 5)
    torch.testing.assert_close(backbone(x), expected, rtol=1e-3, atol=1e-3)
