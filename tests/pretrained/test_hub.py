from __future__ import annotations

import json
import sys
import urllib.error
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision.transforms as T
from PIL import Image

import netvlad
from netvlad.describe.fit import fit
from netvlad.errors import ModelError
from netvlad.pretrained import needs
from netvlad.pretrained.catalogue import HUBS, Hub
from netvlad.training.run import train

TINY = Hub(
    repo="someone/tiny",
    entry="trained",
    arguments={"channels": 5},
    dim=5,
    licence="MIT",
    source="",
    weights="https://example.invalid/releases/tiny.pth",
    input_size=(28, 42),
    interpolation="bicubic",
)
HUBCONF = """
dependencies = ["torch"]
import torch
import utils

def trained(channels, **_):
    print("Returning a model")
    net = utils.Net(channels)
    net.load_state_dict(torch.hub.load_state_dict_from_url("https://example.invalid/releases/tiny.pth"))
    return net
"""
UTILS = """
import torch

class Net(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, channels, 1)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.conv(x).relu()).amax(dim=(2, 3)), ["attention"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A checkout of the repository and its weights in $NETVLAD_WEIGHTS; torch.hub's cache is empty."""
    folder = tmp_path / "weights"
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "hubconf.py").write_text(HUBCONF)
    (folder / "tiny" / "utils.py").write_text(UTILS)
    g = torch.Generator().manual_seed(0)
    state = {"conv.weight": torch.randn(5, 3, 1, 1, generator=g), "conv.bias": torch.rand(5, generator=g)}
    torch.save(state, folder / "tiny.pth")
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setitem(HUBS, "tiny", TINY)
    monkeypatch.setattr(needs, "download", lambda *a, **o: pytest.fail("nothing is to be fetched"))
    return folder


def by_hand(folder, image: np.ndarray, size=(28, 42)) -> np.ndarray:
    """As a README tells it: ToTensor, Resize (bicubic, antialias), Normalize; then the network in NumPy."""
    x = T.Compose([T.ToTensor(), T.Resize(size, T.InterpolationMode.BICUBIC, antialias=True)])(Image.fromarray(image))
    x = (x.numpy().transpose(1, 2, 0) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    state = torch.load(folder / "tiny.pth", weights_only=True)
    y = np.maximum(x @ state["conv.weight"].numpy()[:, :, 0, 0].T + state["conv.bias"].numpy(), 0).max(axis=(0, 1))
    return y / np.linalg.norm(y)


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((28, 42), (60, 45), (28, 42), (33, 90))]


def test_vectors_are_those_of_the_network(here):
    model = netvlad.load("tiny")
    assert (model.name, model.dim, model.resize, model.ready, model.takes_masks) == ("tiny", 5, 640, True, False)
    vectors = model.describe(images())
    assert vectors.dtype == np.float32
    for image, vector in zip(images(), vectors, strict=True):
        np.testing.assert_allclose(vector, by_hand(here, image), atol=1e-5)
        np.testing.assert_allclose(model.describe([image])[0], vector, atol=1e-6)  # whatever shares its batch
    assert model.describe([]).shape == (0, 5)


@pytest.mark.parametrize(("size", "scaled"), [((60, 45), (56, 42)), ((14, 28), (14, 28)), ((5, 90), (14, 84))])
def test_sizes_are_multiples_of_a_patch(here, monkeypatch, size, scaled):
    monkeypatch.setitem(HUBS, "tiny", replace(TINY, input_size=None, multiple=14))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    model = netvlad.load("tiny")
    assert model.prepare(image).shape == (3, *scaled)
    np.testing.assert_allclose(model.describe([image])[0], by_hand(here, image, scaled), atol=1e-5)


def test_results_alone_go_to_stdout(here, capsys):
    netvlad.load("tiny")
    ran = capsys.readouterr()
    assert (ran.out, ran.err) == ("", "Returning a model\n")


def test_modules_of_two_repositories_do_not_mix(here, monkeypatch):
    other = here / "other"
    other.mkdir()
    (other / "hubconf.py").write_text(HUBCONF)
    (other / "utils.py").write_text(UTILS.replace("amax(dim=(2, 3))", "mean(dim=(2, 3))"))
    monkeypatch.setitem(HUBS, "other", TINY)
    mine = type(sys)("utils")
    monkeypatch.setitem(sys.modules, "utils", mine)
    path = list(sys.path)
    first, second = netvlad.load("tiny"), netvlad.load("other")
    assert sys.modules["utils"] is mine
    assert sys.path == path
    assert not np.allclose(first.describe(images()), second.describe(images()), atol=1e-3)


def test_a_saved_model_is_a_reference(here, tmp_path):
    model = netvlad.load("tiny", resize=None)
    again = netvlad.load(model.save(tmp_path / "model"), trust_code=True)
    assert (again.name, again.resize, again.identity) == ("tiny", None, model.identity)
    np.testing.assert_array_equal(again.describe(images()), model.describe(images()))
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 100
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["weights"] == {"source": "https://github.com/someone/tiny", "url": TINY.weights, "licence": "MIT"}
    with pytest.raises(ModelError, match="is not whitened"):
        netvlad.load(tmp_path / "model", dim=2, trust_code=True)


def test_other_weights_than_it_was_saved_with(here, tmp_path):
    folder = netvlad.load("tiny").save(tmp_path / "model")
    state = torch.load(here / "tiny.pth", weights_only=True)
    torch.save({**state, "conv.bias": state["conv.bias"] + 1}, here / "tiny.pth")
    with pytest.raises(ModelError, match="was made with other weights of tiny than torch"):
        netvlad.load(folder, trust_code=True)


def test_a_card_cannot_name_a_repository(here, tmp_path):
    folder = netvlad.load("tiny").save(tmp_path / "model")
    card = json.loads((folder / "card.json").read_text())
    card["architecture"]["hub"] = "stranger/code"
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="was made by 'stranger/code'; this version knows megaloc"):
        netvlad.load(folder, trust_code=True)


def test_whitening_on_top(here, tmp_path, photos):
    paths = photos(12)
    model = fit(netvlad.load("tiny"), paths, whiten=3, workers=0)
    again = netvlad.load(model.save(tmp_path / "model"), trust_code=True)
    assert again.dim == 3
    np.testing.assert_allclose(again.describe(paths), model.describe(paths), atol=1e-6)
    plain = netvlad.load("tiny").describe(paths)
    white = (plain - model.whitening.mean.numpy()) @ model.whitening.matrix.numpy().T
    np.testing.assert_allclose(model.describe(paths), white / np.linalg.norm(white, axis=1, keepdims=True), atol=1e-5)
    assert netvlad.load(tmp_path / "model", dim=2, trust_code=True).describe(paths).shape == (12, 2)


def test_an_index_of_it(here, tmp_path, photos):
    paths = photos(4)
    rows = [f"{p},{31 + 1e-3 * i},34" for i, p in enumerate(paths)]
    (tmp_path / "places.csv").write_text("\n".join(["path,lat,lon", *rows]))
    index = netvlad.PlaceIndex.create(tmp_path / "a.vpr", netvlad.load("tiny"))
    index.add(netvlad.read_places(tmp_path / "places.csv"), workers=0)
    first = next(iter(netvlad.PlaceIndex.open(tmp_path / "a.vpr", trust_code=True).locate(paths[2])))
    assert first.path == paths[2]


# -- what can go wrong ------------------------------------------------------------------------------------------------


def test_options_that_a_published_model_has_not(here):
    for option, said in (({"clusters": 8}, "leave the clusters out"), ({"stage": "layer3"}, "leave the stage out")):
        with pytest.raises(ModelError, match=f"tiny is published as it is: {said}"):
            netvlad.load("tiny", **option)
    places = netvlad.Places.build(path=["a.jpg"], easting=0.0, northing=0.0)
    with pytest.raises(ModelError, match="tiny cannot be trained"):
        train(netvlad.load("tiny"), places)


def test_vectors_of_another_length(here, monkeypatch):
    monkeypatch.setitem(HUBS, "tiny", replace(TINY, dim=6))
    with pytest.raises(ModelError, match=r"tiny: its network made \(2, 5\) of 2 photos, not \(2, 6\)"):
        netvlad.load("tiny").describe(images()[:2])


@pytest.mark.parametrize("code", ["import pytorch_lightningg", "dependencies = ['torch', 'pytorch_lightningg']"])
def test_a_package_that_is_missing(here, code):
    (here / "tiny" / "hubconf.py").write_text(f"{code}\ndef trained(**_): pass\n")
    with pytest.raises(ModelError, match=r"tiny: its code needs Python packages .*: pip install pytorch_lightningg$"):
        netvlad.load("tiny")


def test_packages_are_missed_before_anything_is_fetched(here, monkeypatch):
    (here / "tiny.pth").unlink()
    monkeypatch.setitem(HUBS, "tiny", replace(TINY, packages=("torch", "nowhere_to_be_found<5", "nor_this")))
    with pytest.raises(ModelError, match=r"pip install 'nowhere_to_be_found<5' nor_this$"):
        netvlad.load("tiny")


@pytest.mark.parametrize(
    "code",
    ["", "def trained(**_): raise ValueError('no\\nmore')"],
)
def test_code_that_fails(here, code):
    (here / "tiny" / "hubconf.py").write_text(code)
    with pytest.raises(ModelError, match=r"tiny: cannot be loaded from torch\.hub \(") as error:
        netvlad.load("tiny")
    assert "\n" not in str(error.value)


def test_without_a_connection_it_says_what_to_fetch(here, monkeypatch):
    (here / "tiny" / "hubconf.py").unlink()

    def offline(*args, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load", offline)
    with pytest.raises(ModelError) as error:
        netvlad.load("tiny")
    message = str(error.value)
    for part in ("Name or service not known", "https://github.com/someone/tiny as the folder tiny"):
        assert part in message
    assert "NETVLAD_WEIGHTS" in message


@pytest.mark.parametrize(("name", "repo"), [("tiny", "someone/tiny"), ("tiny:v1.0", "someone/tiny:v1.0")])
def test_github_only_for_a_model_that_was_named(here, monkeypatch, capsys, name, repo):
    (here / "tiny" / "hubconf.py").unlink()
    asked = []

    def load(repo, entry, **options):
        asked.append((repo, entry, options))
        return torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 5))

    monkeypatch.setattr(torch.hub, "load", load)
    model = netvlad.load(name)
    assert model.name == name
    assert asked == [(repo, "trained", {"source": "github", "trust_repo": True, "verbose": False, "channels": 5})]
    assert capsys.readouterr().err == f"{name}: fetching and running the code of https://github.com/someone/tiny\n"
    with pytest.raises(ModelError, match="no model"):
        netvlad.load("someone/tiny")
    with pytest.raises(ModelError, match="no model"):
        netvlad.load("stranger:main")


def test_weights_come_by_the_packages_own_download(here, monkeypatch, tmp_path):
    saved = (here / "tiny.pth").read_bytes()
    (here / "tiny.pth").unlink()
    asked = []

    def download(url, file, *, sha256_hex):
        asked.append((url, file, sha256_hex))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(saved)

    monkeypatch.setattr(needs, "download", download)
    netvlad.load("tiny")
    netvlad.load("tiny")
    assert asked == [(TINY.weights, tmp_path / "torch" / "hub" / "checkpoints" / "tiny.pth", None)]


def test_the_table_is_whole():
    for name, spec in HUBS.items():
        assert spec.repo.count("/") == 1
        homes = (f"https://github.com/{spec.repo}/", "https://github.com/" + spec.repo + "#", "https://huggingface.co/")
        assert spec.weights.startswith(homes)
        assert bool(spec.entry) != bool(spec.files)
        assert spec.dim > 0
        assert spec.interpolation in ("bilinear", "bicubic")
        assert ":" not in name
        assert "-" not in name or name.rpartition("-")[2] not in ("max", "avg", "gem", "vlad", "netvlad", "netvlad2")
