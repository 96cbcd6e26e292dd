from __future__ import annotations

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

import netvlad
from netvlad.describe.base import BaseDescriber, arrays_of, same_size
from netvlad.describe.whitening import Whitening
from netvlad.errors import ModelError


class Constant(BaseDescriber):
    """Describes every photo alike, without weights of its own."""

    kind = "constant"

    def __init__(self):
        super().__init__("constant", None)
        self.register_buffer("vector", torch.tensor([0.0, 0.6, 0.8]))

    @property
    def pooled_dim(self):
        return 3

    @property
    def architecture(self):
        return {"constant": True, "whitening": self.whitening.card if self.whitening else None}


def whitening(matrix: list[list[float]]) -> Whitening:
    made = Whitening(len(matrix[0]), len(matrix))
    made.matrix.copy_(torch.tensor(matrix))
    return made


def test_without_centres_there_is_nothing_to_fit_but_a_whitening():
    model = Constant()
    assert (model.ready, model.needs_centres, model.clusters, model.method, model.provenance) == (
        True, False, 0, None, None,
    )  # fmt: skip
    with pytest.raises(ModelError, match="constant has no cluster centres"):
        model.set_centres(np.eye(3), np.eye(3))
    with pytest.raises(ModelError, match="constant has no local descriptors"):
        model.local_descriptors([])


def test_whitening_and_cropping():
    model = Constant()
    before = model.identity
    with pytest.raises(ModelError, match="constant is not whitened, so its 3 numbers cannot be cut to 1"):
        model.crop(1)
    model.set_whitening(whitening([[0, 1, 0], [0, 0, 1]]))
    assert (model.dim, model.pooled_dim) == (2, 3)
    assert model.identity != before
    assert model.crop(1) is model
    assert model.whitening.matrix.tolist() == [[0, 1, 0]]
    model.set_whitening(None)
    assert (model.dim, model.identity) == (3, before)


def test_images_of_one_size_share_a_pass_as_far_as_memory_goes(monkeypatch):
    monkeypatch.setattr("netvlad.describe.base.PIXELS_AT_ONCE", {"cpu": 24, "cuda": 48})
    shapes = [(2, 4, 3), (4, 2, 3), (2, 4, 3), (2, 4, 3), (2, 4, 3), (10, 10, 3), (2, 4, 4)]
    found = list(same_size(shapes, torch.device("cpu")))
    assert found == [[0, 2, 3], [4], [1], [5], [6]]
    assert next(same_size(shapes, torch.device("cuda"))) == [0, 2, 3, 4]
    assert list(same_size([], torch.device("cpu"))) == []


def test_the_backbone_is_called_trunk_on_disk():
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(1, 2), "my_backbone": torch.nn.Linear(1, 1, bias=False)})
    assert sorted(arrays_of(model)) == ["my_backbone.weight", "trunk.bias", "trunk.weight"]


def test_a_folder_of_another_kind(weights, tmp_path):
    folder = netvlad.load("test_resnet-max").save(tmp_path / "model")
    with pytest.raises(ModelError, match="is a 'network' of format 1; this version reads format 1 of constant"):
        Constant.load(folder)


# -- on the hub -------------------------------------------------------------------------------------------------------


def test_a_model_is_published_and_loaded(hub, weights, photos):
    model = netvlad.fit(netvlad.load("test_resnet-netvlad", clusters=4), photos(12), whiten=3, workers=0)
    model.fitted_on["places"] = "campus.csv"
    name = model.push_to_hub("someone/campus", licence="mit")
    repository = hub.repositories["someone/campus"]["main"]
    assert sorted(repository) == ["README.md", "card.json", "model.safetensors"]
    readme = ModelCard(repository["README.md"].decode())
    assert (readme.data.license, readme.data.datasets) == ("mit", ["campus"])
    again = netvlad.load(name)
    assert again.identity == model.identity
    np.testing.assert_array_equal(again.describe(photos(2)), model.describe(photos(2)))
    assert netvlad.load("hf:someone/campus", dim=2).dim == 2


def test_nothing_unfinished_is_published(hub, weights):
    with pytest.raises(ModelError, match="has no cluster centres yet"):
        netvlad.load("test_resnet-netvlad").push_to_hub("someone/campus")
    assert hub.repositories == {}
