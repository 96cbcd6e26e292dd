from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

import netvlad as package
from netvlad.pretrained.matconvnet import import_matconvnet


def cell(*items) -> np.ndarray:
    array = np.empty((1, len(items)), dtype=object)
    array[0] = items
    return array


@pytest.fixture
def mat(tmp_path):
    """A network of one convolution, max pooling and whitening to 3 numbers."""
    rng = np.random.default_rng(0)

    def conv(name, *shape):
        weights = cell(rng.normal(size=shape).astype(np.float32), rng.normal(size=(shape[-1], 1)).astype(np.float32))
        return {"type": "conv", "name": name, "weights": weights, "pad": 0.0, "stride": 1.0}

    layers = [conv("conv1_1", 3, 3, 3, 6), {"type": "custom", "name": "max:core"}, {"type": "custom", "name": "postL2"}]
    layers += [conv("WPCA", 1, 1, 6, 3), {"type": "custom", "name": "finalL2"}]
    mean = np.full((1, 1, 3), 120.0)
    net = {"layers": cell(*layers), "meta": {"netID": "vd16", "normalization": {"averageImage": mean}}}
    scipy.io.savemat(tmp_path / "vd16_max.mat", {"net": net})
    return tmp_path / "vd16_max.mat"


def test_an_imported_network_can_be_used(netvlad, mat, town, tmp_path):
    out, index = tmp_path / "models" / "max", tmp_path / "a.vpr"
    ran = netvlad("import-matconvnet", mat, "--out", out)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"wrote {out}: vd16_max, 3-D; use it with --model {out}\n"
    assert package.load(out).identity == import_matconvnet(mat).identity
    shown = json.loads(netvlad("info", out).out)["model"]
    assert (shown["kind"], shown["dim"], shown["architecture"]["pooling"]) == ("simplenn", 3, "max")
    assert "8 photos added" in netvlad("index", town, "--out", index, "--model", out).err
    found = json.loads(netvlad("locate", town / "3.jpg", "--index", index, "--json").out)
    assert found[0]["matches"][0]["path"] == str(town / "3.jpg")


def test_options(netvlad, mat, tmp_path):
    assert "2-D" in netvlad("import-matconvnet", mat, "--out", tmp_path / "m", "--dim", "2", "--resize", "0").err
    model = package.load(tmp_path / "m")
    assert (model.dim, model.resize) == (2, None)


def test_what_cannot_be_imported(refused, mat, tmp_path):
    out = tmp_path / "m"
    text = tmp_path / "no.mat"
    text.write_text("no MATLAB file")
    assert "no.mat: is not a .mat file that can be read" in refused("import-matconvnet", text, "--out", out)
    assert "nowhere.mat: cannot be read (No such file" in refused("import-matconvnet", "nowhere.mat", "--out", out)
    assert "cannot be cropped to 4" in refused("import-matconvnet", mat, "--out", out, "--dim", "4")
    assert not out.exists()
