from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import netvlad
from netvlad.cli.index import open_or_create
from netvlad.describe.onnx_describer import FORMAT, PIXELS, SETTINGS, VECTORS, OnnxDescriber
from netvlad.errors import ModelError, PlaceIndexError
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.pretrained.zoo import load_folder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
COLOURS = ("red", "lime", "blue", "yellow")
WITHOUT_TORCH = """
import sys

sys.modules |= dict.fromkeys(("torch", "torchvision", "timm"))  # as if they were not installed
from netvlad.cli.main import app
network, table, index, photo = sys.argv[1:]
app(["index", table, "--model", network, "--out", index, "--workers", "0"], standalone_mode=False)
app(["locate", photo, "--index", index, "--json"], standalone_mode=False)
"""


def write_network(file, name="mean", scale=1.0):
    """A network whose vectors are the mean colours of photos, of unit length."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", [PIXELS], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("LpNormalization", ["scaled"], [VECTORS], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [3], [scale, 1.0, 1.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = {"format": FORMAT, "name": name, "dim": 3, "resize": 64, "smallest": 2, "opset": 17}
    helper.set_model_props(model, {SETTINGS: json.dumps(settings)})
    onnx.save(model, file)
    return file


@pytest.fixture
def file(tmp_path):
    return write_network(tmp_path / "mean.onnx")


@pytest.fixture
def table(tmp_path):
    for colour in COLOURS:
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{colour}.png")
    rows = [f"{colour}.png,{48 + i / 100},11" for i, colour in enumerate(COLOURS)]
    (tmp_path / "places.csv").write_text("\n".join(["path,lat,lon", *rows]))
    return tmp_path / "places.csv"


def test_vectors_and_what_is_too_small(file):
    model = netvlad.load(file)
    np.testing.assert_allclose(model.describe([np.full((9, 7, 3), (3, 0, 4), np.uint8)]), [[0.6, 0, 0.8]], atol=1e-6)
    with pytest.raises(netvlad.ImageError):
        model.describe([np.zeros((1, 7, 3), np.uint8)])
    with pytest.raises(ModelError):
        netvlad.load(file, clusters=4)


def test_a_saved_one_is_the_same_and_a_changed_one_is_refused(file, tmp_path):
    model = OnnxDescriber(file)
    folder = model.save(tmp_path / "model")
    assert load_folder(folder).identity == model.identity
    write_network(folder / "model.onnx", scale=2.0)
    with pytest.raises(ModelError) as error:
        load_folder(folder)
    assert error.value.path == str(folder / "model.onnx")


def test_a_map_keeps_its_network(file, table, tmp_path):
    places = netvlad.read_places(table)
    index = PlaceIndex.create(tmp_path / "a.vpr", netvlad.load(file))
    index.add(places, workers=0)
    file.unlink()
    opened = PlaceIndex.open(tmp_path / "a.vpr")
    assert opened.locate(places.path[2]).matches[0].path == places.path[2]
    assert all(finding.sound for finding in check_index(tmp_path / "a.vpr"))
    with pytest.raises(PlaceIndexError):
        PlaceIndex.open(tmp_path / "a.vpr", netvlad.load(write_network(file, scale=2.0)))
    write_network(tmp_path / "a.vpr" / "model" / "model.onnx", scale=2.0)
    assert [finding.part for finding in check_index(tmp_path / "a.vpr") if not finding.sound] == ["model"]


def test_index_and_locate_answer_without_torch(file, table, tmp_path):
    given = [sys.executable, "-c", WITHOUT_TORCH, file, table, tmp_path / "a.vpr", tmp_path / "blue.png"]
    ran = subprocess.run(given, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    (answer,) = json.loads(ran.stdout)
    assert answer["matches"][0]["path"].endswith("blue.png")


def test_index_takes_the_same_file_again_and_refuses_another(file, table, tmp_path):
    index = PlaceIndex.create(tmp_path / "a.vpr", netvlad.load(file))
    index.add(netvlad.read_places(table), workers=0)
    assert len(open_or_create(tmp_path / "a.vpr", str(file), None, {})) == 4
    with pytest.raises(PlaceIndexError):
        open_or_create(tmp_path / "a.vpr", str(write_network(tmp_path / "b.onnx", scale=2.0)), None, {})
