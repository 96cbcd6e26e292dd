from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor

import netvlad
from netvlad.errors import ModelError
from netvlad.pretrained.mixvpr import MixVPR, load_mixvpr

NAME = "resnet50_MixVPR_4096_channels(1024)_rows(4).ckpt"


@pytest.fixture(scope="module")
def state() -> dict:
    """A checkpoint as MixVPR's authors publish it: names and shapes."""
    rng = torch.Generator().manual_seed(0)
    net = resnet50(weights=None).state_dict()
    state = {f"backbone.model.{k}": v for k, v in net.items() if not k.startswith(("layer4", "fc"))}
    for i in range(4):
        part = f"aggregator.mix.{i}.mix"
        state |= {f"{part}.0.weight": torch.rand(400, generator=rng), f"{part}.0.bias": torch.rand(400, generator=rng)}
        for j in (1, 3):
            state[f"{part}.{j}.weight"] = 0.05 * torch.randn(400, 400, generator=rng)
            state[f"{part}.{j}.bias"] = torch.randn(400, generator=rng)
    for name, out, size in (("channel_proj", 1024, 1024), ("row_proj", 4, 400)):
        state[f"aggregator.{name}.weight"] = torch.randn(out, size, generator=rng)
        state[f"aggregator.{name}.bias"] = torch.randn(out, generator=rng)
    return state


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("mixvpr") / NAME
    torch.save(state, path)
    return path


def by_hand(state: dict, x: torch.Tensor) -> np.ndarray:
    """The paper's section 3: equations 2 to 4, in double precision."""
    net = resnet50(weights=None)
    own = {k.removeprefix("backbone.model."): v for k, v in state.items() if k.startswith("backbone")}
    net.load_state_dict(own, strict=False)
    maps = create_feature_extractor(net.eval(), ["layer3"])(x)["layer3"]
    f = maps.detach().double().numpy().reshape(1024, 400)
    w = {k: v.double().numpy() for k, v in state.items() if k.startswith("aggregator")}
    for i in range(4):
        part = f"aggregator.mix.{i}.mix"
        y = (f - f.mean(1, keepdims=True)) / np.sqrt(f.var(1, keepdims=True) + 1e-5)
        y = y * w[f"{part}.0.weight"] + w[f"{part}.0.bias"]
        y = np.maximum(y @ w[f"{part}.1.weight"].T + w[f"{part}.1.bias"], 0)
        f = f + y @ w[f"{part}.3.weight"].T + w[f"{part}.3.bias"]
    z = w["aggregator.channel_proj.weight"] @ f + w["aggregator.channel_proj.bias"][:, None]
    o = z @ w["aggregator.row_proj.weight"].T + w["aggregator.row_proj.bias"]  # channels x rows
    return (o / np.linalg.norm(o)).ravel()


def test_the_network_by_hand(state, file):
    x = torch.randn(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = load_mixvpr(file, channels=1024, rows=4).eval()(x)
    np.testing.assert_allclose(found[0].numpy(), by_hand(state, x), atol=1e-5)


def test_by_its_name(state, file, monkeypatch):
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(file.parent))
    model = netvlad.load("mixvpr")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert model.prepare(image).shape == (3, 320, 320)
    (vector,) = model.describe([image])
    assert vector.shape == (4096,)
    np.testing.assert_allclose(vector, by_hand(state, model.prepare(image)[None].cpu()), atol=1e-5)


def test_photos_are_resized_as_in_the_authors_evaluation(file, monkeypatch):
    """Bilinear, by Pillow; bicubic as in their demo overshoots at edges."""
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(file.parent))
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(image).resize((320, 320), Image.Resampling.BILINEAR), dtype=np.float32)
    expected = (resized / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    prepared = netvlad.load("mixvpr").prepare(image).cpu().numpy().transpose(1, 2, 0)
    assert np.abs(prepared - expected).max() < 1.1 / 255 / 0.224  # Pillow rounds to whole numbers, twice


def test_without_its_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=r"mixvpr: its weights have no address .*; put resnet50_MixVPR_4096_ch"):
        netvlad.load("mixvpr")
    with pytest.raises(ModelError, match="has no version 'main'; ask for mixvpr"):
        netvlad.load("mixvpr:main")


def test_another_checkpoint(state, tmp_path):
    torch.save({k: v for k, v in state.items() if "row_proj" not in k}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match=r"a\.ckpt: is no checkpoint of MixVPR with 1024x4 numbers \("):
        load_mixvpr(tmp_path / "a.ckpt", channels=1024, rows=4)
    (tmp_path / "b.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match=r"b\.ckpt: is no checkpoint"):
        load_mixvpr(tmp_path / "b.ckpt", channels=1024, rows=4)


def test_names_are_those_of_the_checkpoint(state):
    assert set(MixVPR().state_dict()) == set(state)
