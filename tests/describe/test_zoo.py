from __future__ import annotations

import numpy as np
import pytest

import netvlad
from netvlad.describe.fit import fit
from netvlad.describe.pooling import POOLINGS
from netvlad.describe.zoo import DEFAULT, TRUNKS, known, load, split_name
from netvlad.errors import ModelError


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet18-netvlad", ("resnet18", "netvlad")),
        ("resnet18-netvlad2", ("resnet18", "netvlad2")),
        ("resnet18.tv_in1k-max", ("resnet18.tv_in1k", "max")),
        ("vit_base_patch14_dinov2-gem", ("vit_base_patch14_dinov2", "gem")),
        ("a-b-vlad", ("a-b", "vlad")),
    ],
)
def test_a_name_is_a_trunk_and_a_pooling(name, parts):
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "close: "),
        ("resnet18-netvald", "close: resnet18-netvlad"),
        ("vgg16_netvlad", "close: vgg16-netvlad"),
        ("", "a name is <trunk>-<pooling>"),
        ("xyzzyq", "a name is <trunk>-<pooling>"),
    ],
)
def test_other_names_are_explained(name, said):
    with pytest.raises(ModelError) as error:
        load(name)
    assert str(error.value).startswith(f"no model is called {name!r}: ")
    assert said in str(error.value)
    assert f"pooling one of {', '.join(POOLINGS)}" in str(error.value)


@pytest.mark.parametrize("name", ["models/west", "./west", "../west-netvlad", "models/resnet18-netvlad", "/nowhere"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(
        ModelError, match=r"no model folder is there \(it would hold card\.json and model\.safetensors\)"
    ):
        load(name)


def test_a_folder_without_a_card(tmp_path):
    with pytest.raises(ModelError, match="no model folder is there"):
        load(tmp_path)


def test_an_unknown_trunk(weights):
    with pytest.raises(ModelError, match=r"no trunk is called 'resnt18'; close: resnet18"):
        load("resnt18-netvlad")


def test_options_reach_the_model(weights):
    model = load("test_resnet-netvlad", clusters=7, stage="layer2+act", resize=None)
    assert (model.clusters, model.trunk.stage, model.resize) == (7, "layer2+act", None)
    assert model.name == "test_resnet-netvlad"
    assert model.dim == 7 * model.trunk.dim
    assert load("test_resnet-max").resize == 640
    assert load("test_resnet-netvlad").clusters == 64


def test_dim_cuts_a_saved_model(weights, photos, tmp_path):
    paths = photos(12)
    folder = fit(load("test_resnet-max"), paths, whiten=6).save(tmp_path / "model")
    full, cut = load(folder).describe(paths), load(str(folder), dim=2)
    assert cut.dim == 2
    expected = full[:, :2] / np.linalg.norm(full[:, :2], axis=1, keepdims=True)
    np.testing.assert_allclose(cut.describe(paths), expected, atol=1e-5)
    with pytest.raises(ModelError, match="cannot be cropped to 7"):
        load(folder, dim=7)


def test_dim_needs_whitening(weights, tmp_path):
    with pytest.raises(ModelError, match="test_resnet-max is not whitened"):
        load("test_resnet-max", dim=4)
    with pytest.raises(ModelError, match="is not whitened"):
        load(load("test_resnet-max").save(tmp_path / "model"), dim=4)


def test_the_name_of_the_package_is_the_same_function():
    assert netvlad.load is load
    assert split_name(DEFAULT)[0] in TRUNKS


def test_known_trunks_without_loading_any(folder):
    (folder / "resnet18.tv_in1k.to_layer3.pth").write_bytes(b"never read")
    (folder / "vgg16.mine.pth").write_bytes(b"never read")
    found = {k.trunk: k for k in known()}
    assert list(found) == list(TRUNKS)
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
