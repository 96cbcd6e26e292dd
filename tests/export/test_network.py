from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

import netvlad
from netvlad.describe.onnx_describer import OnnxDescriber
from netvlad.describe.wccn import WCCN
from netvlad.describe.whitening import fit_projection, fit_whitening
from netvlad.errors import ModelError, NetvladError
from netvlad.export.network import export_onnx

pytest.importorskip("onnxruntime")
SIZES = ((16, 17), (97, 131), (64, 64), (81, 47), (240, 181))


def ready(name: str):
    model = netvlad.load(name, clusters=4)
    x = np.random.default_rng(1).standard_normal((200, model.backbone.dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model.set_centres(x[:4], x)
    return model


def photos():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, made_up_weights):
    """A network that pads by the size of the photo, as the default model does, normalised and projected; its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETVLAD_WEIGHTS", str(made_up_weights))
        model = ready("test_resnet-netvlad")
    for conv in [m for m in model.backbone.modules() if isinstance(m, nn.Conv2d) and m.stride[0] > 1]:
        conv.__class__, conv.padding = Conv2dSame, (0, 0)
    model.local = WCCN(model.backbone.dim, 2)
    torch.nn.init.normal_(model.local.directions, generator=torch.Generator().manual_seed(0))
    torch.nn.init.constant_(model.local.gains, -0.3)
    vectors = np.random.default_rng(2).standard_normal((9, model.pooled_dim)).astype(np.float32)
    model.set_whitening(fit_projection(vectors, 8))
    file = tmp_path_factory.mktemp("onnx") / "a.onnx"
    export_onnx(model, file)
    return model, file


def test_vectors_are_those_of_pytorch_for_any_size(exported):
    model, file = exported
    found = netvlad.load(file)
    assert (found.name, found.dim, found.resize, found.smallest) == ("test_resnet-netvlad", 8, 640, model.smallest)
    vectors = found.describe(photos())
    np.testing.assert_allclose(vectors, model.describe(photos()), atol=1e-4)
    np.testing.assert_array_equal(vectors[1:2], found.describe(photos()[1:2]))
    with pytest.raises(NetvladError):
        export_onnx(model, file)


def test_the_file_takes_several_photos_at_once(exported):
    model, file = exported
    import onnxruntime

    batch = np.stack([photos()[2], photos()[2][::-1]])
    (vectors,) = onnxruntime.InferenceSession(str(file)).run(["vectors"], {"pixels": batch})
    np.testing.assert_allclose(vectors, model.describe(list(batch)), atol=1e-4)


@pytest.mark.parametrize("pooling", ["vlad", "vladbuff"])
def test_other_poolings_with_a_whitening(pooling, weights, tmp_path):
    model = ready(f"test_resnet-{pooling}")
    model.set_whitening(fit_whitening(np.random.default_rng(3).standard_normal((20, model.dim)).astype(np.float32), 8))
    model.resize = None
    export_onnx(model, tmp_path / "a.onnx")
    found = OnnxDescriber(tmp_path / "a.onnx")
    assert (found.dim, found.resize) == (8, None)
    np.testing.assert_allclose(found.describe(photos()), model.describe(photos()), atol=1e-4)


def test_a_trace_that_holds_for_the_size_of_its_example_alone_is_not_kept(weights, tmp_path, monkeypatch):
    model = ready("test_resnet-netvlad")
    adjusted = model.adjusted
    monkeypatch.setattr(model, "adjusted", lambda maps: adjusted(maps) - int(maps.shape[-1]))
    with pytest.raises(ModelError):
        export_onnx(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(weights, tmp_path):
    for name in ("densevlad", "test_resnet-netvlad"):
        with pytest.raises(ModelError):
            export_onnx(netvlad.load(name), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_exported_network(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    for file in (tmp_path / "a.onnx", tmp_path / "b.onnx"):
        with pytest.raises(ModelError) as error:
            OnnxDescriber(file)
        assert error.value.path == str(file)
