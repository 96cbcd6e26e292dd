from __future__ import annotations

import shutil
import sys
import urllib.request

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import netvlad
from netvlad.errors import ModelError, NetvladError
from netvlad.pretrained import hub_code, needs
from netvlad.pretrained.catalogue import HUBS
from pretrained.stand_ins import stand_ins, state

NAMES = [name for name, spec in HUBS.items() if not spec.files]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """$NETVLAD_WEIGHTS, with nothing in any cache and no connection to anything."""

    def offline(*args, **options):
        raise urllib.error.URLError("Name or service not known")

    def no_download(url, file, **options):
        raise NetvladError("Name or service not known", path=url)

    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    monkeypatch.setattr(needs, "download", no_download)
    monkeypatch.setattr(hub_code, "find_spec", lambda package: package)  # the stand-ins need none
    monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("a question that nobody can answer"))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_one_folder_is_enough(weights, name):
    stand_ins(weights, name)
    image = np.full((40, 50, 3), (0, 128, 255), dtype=np.uint8)
    (vector,) = netvlad.load(name).describe([image])
    made, mean, std = state(HUBS[name].dim), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = made["linear.weight"].numpy() @ ((np.array([0, 128, 255]) / 255 - mean) / std)
    expected += made["linear.bias"].numpy()
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)
    assert not any(known.partition(".")[0] in hub_code.MODULES - {"models", "src"} for known in sys.modules)


@pytest.mark.parametrize("name", NAMES)
def test_the_error_lists_exactly_what_is_missing(weights, name):
    every = HUBS[name].needs(name)
    with pytest.raises(ModelError) as error:
        netvlad.load(name)
    assert all(need.advice in str(error.value) for need in every)
    for gone in range(len(every)):
        for path in stand_ins(weights, name):
            if path.name == every[gone].name:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(ModelError) as error:
            netvlad.load(name)
        told = [need.name for need in every if need.advice in str(error.value)]
        assert told == [every[gone].name]
        assert every[gone].url in str(error.value)
        assert "densevlad" in str(error.value)
        shutil.rmtree(needs.hub_folder(), ignore_errors=True)


def test_a_checkout_may_be_called_as_its_repository(weights):
    stand_ins(weights, "boq")
    (weights / "boq").rename(weights / "Bag-of-Queries")
    assert netvlad.load("boq").dim == 12288


def test_code_of_a_repository_that_is_not_listed_is_not_run(weights):
    stand_ins(weights, "image4vpr")
    stranger = weights / "stranger"
    stranger.mkdir()
    (stranger / "hubconf.py").write_text("def entry():\n    raise SystemExit\n")
    (weights / "image4vpr" / "hubconf.py").write_text(
        "import torch\ndef ImAge():\n    return torch.hub.load('someone/stranger', 'entry')\n"
    )
    with pytest.raises(ModelError, match="someone/stranger, which is not listed"):
        netvlad.load("image4vpr")
    assert torch.hub.load.__module__ == "torch.hub"
    assert huggingface_hub.hf_hub_download.__module__ == "huggingface_hub.file_download"


def test_a_nested_repository_is_fetched_without_a_question(weights, monkeypatch):
    stand_ins(weights, "eigenplaces")
    asked = []
    original = torch.hub.load

    def load(repo, model, *args, **options):
        asked.append((repo, options.get("source"), options.get("trust_repo")))
        return original(repo, model, *args, **options) if options["source"] == "local" else {"conv1.weight": 0}

    shutil.rmtree(weights / "cosplace")
    monkeypatch.setattr(torch.hub, "load", load)
    netvlad.load("eigenplaces")
    assert asked == [(str(weights / "eigenplaces"), "local", None), ("gmberton/cosplace", "github", True)]


def test_a_file_in_the_cache_of_the_hugging_face_hub_is_enough(weights, tmp_path):
    *_, file = stand_ins(weights, "megaloc")
    file.unlink()
    repo = tmp_path / "hf" / "models--gberton--MegaLoc"
    (repo / "snapshots" / "0123").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123")
    save_file(state(8448), repo / "snapshots" / "0123" / "model.safetensors")
    assert netvlad.load("megaloc").dim == 8448


def test_a_download_in_the_cache_stays(weights):
    _, file, *_ = stand_ins(weights, "image4vpr")
    cached = needs.hub_folder() / "checkpoints" / file.name
    cached.parent.mkdir(parents=True)
    shutil.copyfile(file, cached)
    netvlad.load("image4vpr")
    assert not cached.is_symlink()
    file.unlink()
    assert netvlad.load("image4vpr").dim == 6144


def test_a_file_of_another_folder_is_followed(weights, tmp_path, monkeypatch):
    stand_ins(weights, "image4vpr")
    netvlad.load("image4vpr")
    other = tmp_path / "other"
    _, file, *_ = stand_ins(other, "image4vpr")
    held = torch.load(file, weights_only=True)
    held["model_state_dict"]["module.linear.bias"] += 1
    torch.save(held, file)
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(other))
    assert torch.equal(netvlad.load("image4vpr").network[0].linear.bias, state(6144)["linear.bias"] + 1)
