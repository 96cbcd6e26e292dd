from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.io
import torch

import netvlad
from netvlad.describe.backbone import Backbone
from netvlad.describe.fit import fit
from netvlad.errors import ModelError
from netvlad.pretrained import networks
from netvlad.pretrained.catalogue import BACKBONES, HUBS, NETWORKS
from netvlad.pretrained.listing import listed_backbones, listed_models
from netvlad.pretrained.matconvnet import import_matconvnet
from netvlad.pretrained.zoo import DEFAULT, list_models, load, split_name
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
        ("", "a name is <backbone>-<pooling>"),
        ("xyzzyq", "a name is <backbone>-<pooling>"),
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
    assert split_name(DEFAULT)[0] in BACKBONES


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


# -- what other packages registered ---------------------------------------------------------------------------------


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
    assert len(names) == len(set(names)) == len(BACKBONES) * 7 + 1 + len(NETWORKS) + len(HUBS) + 1
    for name in ("resnet18-netvlad", "vgg16-corner", "densevlad", NAME, "megaloc", "constant"):
        assert name in names


def test_a_folder_that_holds_no_model(tmp_path):
    levels = [(np.eye(4, dtype=np.float32), np.zeros(4, np.int64))]
    folder = VocabularyTree(levels).save(tmp_path / "tree")
    with pytest.raises(ModelError, match="holds a vocabulary tree, not a model") as error:
        load(folder)
    assert error.value.path == str(folder)


@pytest.mark.parametrize("name", ["resnet18-max", "resnet18-vlad", "resnet18-netvlad"])
def test_own_describers_are_all_that_callers_may_ask_for(name, folder, monkeypatch):
    monkeypatch.setattr("netvlad.pretrained.zoo.load_backbone", Backbone)
    model = load(name)
    assert isinstance(model, Fittable)
    assert isinstance(model, Saveable)


# -- networks of the authors ------------------------------------------------------------------------------------------

NAME = "vgg16-netvlad-pitts30k"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(networks, "download", lambda *a, **o: pytest.fail("nothing is to be fetched"))
    return tmp_path / "cache"


@pytest.fixture
def mat(tmp_path, authors):
    scipy.io.savemat(tmp_path / "small.mat", {"net": authors()})
    return tmp_path / "small.mat"


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("file", NETWORKS[NAME].files)
def test_a_file_of_the_authors_in_the_weights_folder(folder, cache, mat, file):
    shutil.copy(mat, folder / file)
    model = load(NAME, resize=None)
    assert (model.name, model.resize, model.dim) == (NAME, None, 4)
    np.testing.assert_array_equal(model.describe([image()]), import_matconvnet(mat).describe([image()]))
    assert load(NAME, dim=2).dim == 2
    assert not cache.exists()
    assert next(m.here for m in listed_models() if m.name == NAME) == f"here: {file}"


def test_an_imported_folder_goes_before_all(folder, cache, mat):
    import_matconvnet(mat, name=NAME).save(folder / NAME)
    assert load(NAME, resize=320).resize == 320
    assert next(m.here for m in listed_models() if m.name == NAME) == f"here: {NAME}"


def test_a_network_is_fetched_and_imported_once(folder, cache, mat, monkeypatch):
    asked = []

    def download(url, file, *, sha256_hex):
        asked.append((url, file, sha256_hex))
        file.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(mat, file) and file

    monkeypatch.setattr(networks, "download", download)
    first = load(NAME)
    second = load(NAME)
    assert asked == [(NETWORKS[NAME].url, cache / "Pitts30K_struct.mat", None)]
    assert [f.name for f in cache.iterdir()] == ["models"]
    assert first.identity == second.identity
    assert second.backbone.provenance["source"] == NETWORKS[NAME].url
    assert len(second.backbone.provenance["sha256"]) == 64
    assert next(m.here for m in listed_models() if m.name == NAME) == "here, in the cache"


def test_without_a_connection_it_says_what_to_put_where(folder, cache, monkeypatch):
    def offline(url, *args, **options):
        raise ModelError(f"{url}: Name or service not known")

    monkeypatch.setattr(networks, "download", offline)
    with pytest.raises(ModelError) as error:
        load(NAME)
    for part in (NAME, "Name or service not known", NETWORKS[NAME].files[0], NETWORKS[NAME].page, "NETVLAD_WEIGHTS"):
        assert part in str(error.value)


def test_a_network_whose_address_is_not_known(folder, cache):
    with pytest.raises(ModelError, match=r"no address of its file is known; put vd16_pitts30k_conv5_3_max\.mat from"):
        load("vgg16-max-pitts30k")
    assert (
        next(m.here for m in listed_models() if m.name == "vgg16-max-pitts30k")
        == "by hand: vd16_pitts30k_conv5_3_max.mat"
    )


def test_what_a_published_network_is_not_asked_for(folder, cache):
    with pytest.raises(ModelError, match="is published as it is: leave the clusters out"):
        load(NAME, clusters=32)
    with pytest.raises(ModelError, match="leave the stage out"):
        load(NAME, stage="conv5_1")


def test_names_do_not_overlap():
    for name in [*NETWORKS, *HUBS]:
        assert name not in BACKBONES
        with pytest.raises(ModelError):
            split_name(name)
    assert len({m.name for m in listed_models()}) == len(NETWORKS) + len(HUBS)


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
