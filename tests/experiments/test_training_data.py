from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import netvlad
from netvlad.describe.whitening import fit_whitening
from netvlad.errors import NetvladError
from netvlad.experiments.training_data import OF_MAP, chosen_model, training_data, training_model
from netvlad.maps.unplaced import unplaced
from netvlad.places import Places
from netvlad.pretrained.zoo import TRAINABLE
from netvlad.training import Config


def street(n: int, prefix: str = "", **columns) -> Places:
    return Places.build(
        path=[f"{prefix}{i}.jpg" for i in range(n)], easting=5.0 * np.arange(n), northing=0.0, **columns
    )


def read(path: str) -> Places:
    return {"a": street(200), "b": street(40, "b"), "split": street(4, split=["database", "query"] * 2)}[path]


def test_other_places_are_validated_on():
    about = {"places": ["split"], "validate": ["b"], "held_out": False}
    (database, queries), held, told = training_data(about, Config(), read)
    assert (len(database), len(queries)) == (2, 2)
    assert held is not None
    assert len(held[1]) == 40
    assert told == ""


def test_one_end_is_held_out_unless_the_run_is_of_before():
    tables, held, told = training_data({"places": ["a"], "held_out": True}, Config(), read)
    assert held is not None
    assert len(held[1]) == 40
    assert len(tables[1]) < 160
    assert "held out" in told
    tables, held, told = training_data({"places": ["a", "b"]}, Config(), read)
    assert (len(tables[0]), held, told) == (240, None, "")


@pytest.fixture
def ready(weights):
    """A model of made-up weights with made-up centres."""
    model = netvlad.load("test_resnet-netvlad", clusters=4)
    x = np.random.default_rng(0).normal(size=(400, model.backbone.dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model.pooling.initialise(x[:4], x)
    return model


@pytest.mark.parametrize("whitened", [True, False])
def test_a_maps_model_is_trained_without_its_whitening(ready, tmp_path, whitened):
    if whitened:
        ready.set_whitening(fit_whitening(np.random.default_rng(1).normal(size=(9, ready.dim)), 8))
        ready.fitted_on["whitening_photos"] = 9
    netvlad.PlaceIndex.create(tmp_path / "a.vpr", ready)
    model, told = training_model({"map": str(tmp_path / "a.vpr"), "model": OF_MAP}, {})
    assert ("--whiten 8" in told) == whitened
    assert model.dim == ready.pooled_dim
    assert "whitening_photos" not in model.fitted_on
    ready.set_whitening(None)
    assert model.identity == ready.identity
    model, told = training_model({"map": str(tmp_path / "a.vpr"), "model": "test_resnet-max"}, {})
    assert (model.name, told) == ("test_resnet-max", "")


def test_photos_of_a_map_whose_place_nobody_knows_are_left_out(monkeypatch):
    places = Places.concat([street(200), unplaced(["x.jpg", "y.jpg"])])
    opened = SimpleNamespace(open=lambda folder: SimpleNamespace(places=places))
    monkeypatch.setattr("netvlad.experiments.training_data.PlaceIndex", opened)
    tables, held, _ = training_data({"map": "a.vpr", "places": [], "held_out": True}, Config(), read)
    assert held is not None
    assert len(tables[0]) + len(held[0]) <= 200
    for table in (*tables, *held):
        assert table.located.all()


def test_a_map_that_is_not_there(tmp_path):
    with pytest.raises(NetvladError) as caught:
        training_data({"map": str(tmp_path / "none.vpr"), "places": []}, Config(), read)
    assert caught.value.path is not None


def test_the_model_where_none_is_named(tmp_path):
    assert chosen_model(None, None) == TRAINABLE
    assert chosen_model(None, tmp_path) == OF_MAP
    assert chosen_model("resnet18-max", tmp_path) == "resnet18-max"
