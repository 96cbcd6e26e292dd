from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import netvlad
from netvlad.describe.onnx_describer import OnnxDescriber
from netvlad.errors import ImageError, NetvladError
from netvlad.export.network import export_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SIZES = ((240, 181), (97, 131), (64, 64))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Paths of photos of several sizes."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    for i, size in enumerate(SIZES):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{i}.png")
    return [str(folder / f"{i}.png") for i in range(len(SIZES))]


@pytest.fixture(scope="module")
def model(made_up_weights):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETVLAD_WEIGHTS", str(made_up_weights))
        model = netvlad.load("test_resnet-netvlad", clusters=4)
    x = np.random.default_rng(1).standard_normal((200, model.backbone.dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model.set_centres(x[:4], x)
    return model


@pytest.mark.parametrize(("precision", "least"), [("float16", 0.99999), ("int8", 0.95)])
def test_vectors_are_near_those_of_float32(model, photos, tmp_path, precision, least):
    file = tmp_path / "a.onnx"
    export_onnx(model, file, precision, photos if precision == "int8" else ())
    found = OnnxDescriber(file)
    vectors, whole = found.describe(photos), model.describe(photos)
    assert vectors.dtype == np.float32
    assert (vectors * whole).sum(axis=1).min() > least
    assert np.abs(vectors - whole).max() > 1e-6  # it is no float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)  # only the backbone is rounded
    assert (found.name, found.dim, found.resize) == (model.name, model.dim, model.resize)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_the_backbone_is_of_smaller_numbers_and_the_pooling_is_not(model, photos, tmp_path):
    export_onnx(model, tmp_path / "half.onnx", "float16")
    export_onnx(model, tmp_path / "int.onnx", "int8", photos)
    half, whole = (onnx.load(tmp_path / name).graph for name in ("half.onnx", "int.onnx"))
    weights = {
        node.input[1] for node in half.node if node.name.startswith("/model/backbone/") and node.op_type == "Conv"
    }
    types = {tensor.name: tensor.data_type for tensor in half.initializer}
    assert {types[name] for name in weights} == {onnx.TensorProto.FLOAT16}
    fed = {name for node in whole.node if node.op_type == "DequantizeLinear" for name in node.output}
    own = [node for node in whole.node if node.op_type == "Conv" and node.name.startswith("/model/backbone/")]
    first, rest = own[: len(own) // 4], own[len(own) // 4 :]
    assert len(first) > 0
    assert not any(node.input[1] in fed for node in first)
    assert all(set(node.input) <= fed for node in rest)
    pooled = {name for node in whole.node if "/pooling/" in node.name for name in node.input}
    assert all(name.startswith("/model/backbone/") for name in fed & pooled)  # what comes in, and nothing of its own


def test_what_is_no_photo_ends_it_and_leaves_nothing(model, photos, tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"nothing")
    with pytest.raises(ImageError):
        export_onnx(model, tmp_path / "a.onnx", "int8", [photos[0], str(tmp_path / "no.jpg")])
    for precision, given in (("int8", ()), ("float16", photos), ("int4", ())):
        with pytest.raises(NetvladError):
            export_onnx(model, tmp_path / "a.onnx", precision, given)
    assert [path.name for path in tmp_path.iterdir()] == ["no.jpg"]
