from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import netvlad
from netvlad.describe.backbone import Backbone
from netvlad.describe.fit import fit
from netvlad.errors import ModelError
from netvlad.pretrained.backbones import BACKBONES
from netvlad.pretrained.catalogue import HUBS, NETWORKS
from netvlad.pretrained.listing import listed_models
from netvlad.pretrained.zoo import TRAINABLE, list_models, load, split_name
from netvlad.registry import models, poolings
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Describer, Fittable, Saveable


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
def test_a_name_is_a_backbone_and_a_pooling(name, parts):
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "close: "),
        ("resnet18-netvald", "close: resnet18-netvlad"),
        ("vgg16_netvlad", "close: vgg16-netvlad"),
        ("vgg16-netvlad-pits30k", "close: vgg16-netvlad-pitts30k"),
        ("megalock", "close: megaloc"),
        ("", "a name is default, or <backbone>-<pooling>"),
        ("xyzzyq", "a name is default, or <backbone>-<pooling>"),
    ],
)
def test_other_names_are_explained(name, said):
    with pytest.raises(ModelError) as error:
        load(name)
    assert str(error.value).startswith(f"no model is called {name!r}: ")
    assert said in str(error.value)
    assert f"pooling one of {', '.join(poolings)}" in str(error.value)


@pytest.mark.parametrize("name", ["models/west", "./west", "../west-netvlad", "models/resnet18-netvlad", "/nowhere"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(
        ModelError, match=r"no model folder is there \(it would hold card\.json and model\.safetensors\)"
    ):
        load(name)


def test_a_folder_without_a_card(tmp_path):
    with pytest.raises(ModelError, match="no model folder is there"):
        load(tmp_path)


def test_an_unknown_backbone(weights):
    with pytest.raises(ModelError, match=r"no backbone is called 'resnt18'; close: resnet18"):
        load("resnt18-netvlad")


def test_options_reach_the_model(weights):
    model = load("test_resnet-netvlad", clusters=7, stage="layer2+act", resize=None)
    assert (model.clusters, model.backbone.stage, model.resize) == (7, "layer2+act", None)
    assert model.name == "test_resnet-netvlad"
    assert model.dim == 7 * model.backbone.dim
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
    assert split_name(TRAINABLE)[0] in BACKBONES


# -- what other packages registered ---------------------------------------------------------------------------------


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


class Corner(torch.nn.Module):
    """A pooling: the first location, normalised."""

    def __init__(self, channels, clusters):
        super().__init__()
        self.dim = channels

    def forward(self, x, mask=None):
        return torch.nn.functional.normalize(x[:, :, 0, 0], dim=1)


class Constant:
    """The smallest describer."""

    name, dim, smallest, takes_masks, identity, ready, method = "constant", 2, 1, False, "constant", True, None

    def __init__(self, resize):
        self.resize = resize

    def describe(self, images):
        return np.tile(np.float32([0.6, 0.8]), (len(images), 1))


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.setitem(poolings._loaded(), "corner", Corner)
    monkeypatch.setitem(models._loaded(), "constant", Constant)


def test_a_pooling_of_another_package(plugins, weights, tmp_path):
    model = load("test_resnet-corner")
    assert (model.name, model.dim, model.ready, model.needs_centres) == ("test_resnet-corner", 192, True, False)
    found = model.describe([image()])
    with torch.no_grad():
        first = model.backbone(model.prepare(image()[None]))[0, :, 0, 0].numpy()
    np.testing.assert_allclose(found[0], first / np.linalg.norm(first), atol=1e-6)
    again = load(model.save(tmp_path / "model"))
    assert again.identity == model.identity
    np.testing.assert_array_equal(again.describe([image()]), found)


def test_a_model_of_another_package(plugins):
    model = load("constant", resize=320)
    assert (type(model), model.resize) == (Constant, 320)
    assert isinstance(model, Describer)
    assert not isinstance(model, Fittable)
    with pytest.raises(ModelError, match=r"constant does not take these options .*clusters"):
        load("constant", clusters=8)
    with pytest.raises(ModelError, match="constant cannot be cropped to its first 1 numbers"):
        load("constant", dim=1)
    with pytest.raises(ModelError, match="constant has nothing that could be fitted"):
        fit(model, ["a.jpg"])


def test_all_names(plugins):
    names = list_models()
    assert len(names) == len(set(names)) == len(BACKBONES) * len(list(poolings)) + 3 + len(NETWORKS) + len(HUBS) + 1
    for name in ("resnet18-netvlad", "vgg16-corner", "densevlad", "vgg16-max-tokyotm", "megaloc", "constant"):
        assert name in names


def test_a_folder_that_holds_no_model(tmp_path):
    levels = [(np.eye(4, dtype=np.float32), np.zeros(4, np.int64))]
    folder = VocabularyTree(levels).save(tmp_path / "tree")
    with pytest.raises(ModelError, match="holds a vocabulary tree, not a model") as error:
        load(folder)
    assert error.value.path == str(folder)


@pytest.mark.parametrize("name", ["resnet18-max", "resnet18-vlad", "resnet18-netvlad"])
def test_own_describers_are_all_that_callers_may_ask_for(name, folder, monkeypatch):
    monkeypatch.setattr("netvlad.describe.backbone.load_backbone", Backbone)
    model = load(name)
    assert isinstance(model, Fittable)
    assert isinstance(model, Saveable)


def test_what_a_published_network_is_not_asked_for():
    with pytest.raises(ModelError, match="is published as it is: leave the clusters out"):
        load("vgg16-netvlad-pitts30k", clusters=32)
    with pytest.raises(ModelError, match="leave the stage out"):
        load("vgg16-netvlad-pitts30k", stage="conv5_1")


def test_names_do_not_overlap():
    for name in [*NETWORKS, *HUBS]:
        assert name not in BACKBONES
        with pytest.raises(ModelError):
            split_name(name)
    assert len({m.name for m in listed_models()}) == len(NETWORKS) + len(HUBS)


def test_a_model_of_the_hub_that_cannot_be_had(hub):
    with pytest.raises(ModelError, match=r"hf:someone/none: is not on the hub.* you can use default or densevlad"):
        load("hf:someone/none")
    with pytest.raises(ModelError, match="a model of the Hugging Face hub is called hf:owner/name"):
        load("someone/none")


def test_a_model_of_the_hub_runs_no_code_unasked(hub, tmp_path):
    card = {"kind": "hub", "format": 1, "name": "megaloc", "architecture": {"hub": "megaloc"}}
    hub.commit("someone/reference", {"card.json": json.dumps(card).encode(), "model.safetensors": b""})
    with pytest.raises(ModelError, match=r"code is fetched from https://github\.com/gmberton/MegaLoc"):
        load("hf:someone/reference")
