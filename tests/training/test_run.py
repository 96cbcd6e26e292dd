from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import netvlad
from netvlad.errors import ModelError, NetvladError, PlacesError
from netvlad.places import Places
from netvlad.training import Config, Mining, Trainer, train
from netvlad.training.config import RENAMED
from netvlad.training.run import database_and_queries


def named(split) -> Places:
    return Places.build(path=[f"{i}.jpg" for i in range(len(split))], easting=0.0, northing=0.0, split=split)


def test_the_split_column_decides():
    database, queries = database_and_queries(named(["database", "Query", "db", "queries", "", "train"]))
    assert (database.split.tolist(), queries.split.tolist()) == (["database", "db"], ["Query", "queries"])
    for split in (["", "", ""], ["train", "train"]):
        both = database_and_queries(named(split))
        assert both[0] is both[1]
        assert len(both[0]) == len(split)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (["database", "", "db"], "names database photos but none that is query"),
        (["q", "q"], "names query photos but none that is database"),
        (["database"], "1 photo: there is nothing to compare"),
        ([], "0 photos"),
    ],
)
def test_tables_that_do_not_do(split, message):
    with pytest.raises(PlacesError, match=message):
        database_and_queries(named(split))


def test_one_table_is_as_two(network, street):
    database, queries = street(5)
    settings = Config(epochs=2, lr=0.05, margin=0.3)
    columns = {name: np.concatenate([getattr(t, name) for t in (database, queries)]) for name in ("path", "easting")}
    table = Places.build(**columns, northing=0.0, split=["database"] * 10 + ["query"] * 5)
    found = []
    for go in (
        lambda model: train(model, (database, queries), settings, validation=(database, queries)).record,
        lambda model: train(model, table, settings, validation=table).record,
    ):
        record = go(network("max"))
        found.append([(e.loss, e.violating, e.recall) for e in record.epochs])
    assert found[0] == found[1]


def test_every_photo_is_query_and_database_but_never_its_own_positive(network, street):
    database, queries = street(5)
    table = Places.concat([database, queries])
    seen = []
    from netvlad.training.tuples import Tuples

    mine = Tuples.mine

    def watched(self, query, *arguments):
        found = mine(self, query, *arguments)
        seen.append((query, found and found.positive))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuples, "mine", watched)
        record = train(network("max"), table, Config(epochs=1, margin=2.0, mining=Mining(apart=None))).record
    assert record.queries == 15
    assert len(seen) == 15
    assert all(positive is not None and query != positive for query, positive in seen)


def test_a_model_by_name_is_fitted_trained_and_saved(weights, street, tmp_path):
    tables = street(5)
    settings = {"epochs": 1, "lr": "0.01", "margin": 0.3}
    model, record = train("test_resnet-netvlad", tables, preset="fast", out=tmp_path / "run", workers=0, **settings)
    assert (record.config.epochs, record.config.lr, record.config.optimizer) == (1, 0.01, "adamw")
    assert model.ready
    assert model.fitted_on["photos_given"] == 10  # of the database
    assert model.fitted_on["training"]["epoch"] == record.best == 1
    saved = netvlad.load(tmp_path / "run")
    assert saved.identity == model.identity
    assert netvlad.load(tmp_path / "run" / "start").identity != model.identity


def test_a_model_from_a_folder_is_trained_further(network, street, tmp_path):
    start = network("netvlad")
    start.save(tmp_path / "model")
    model, _ = train(tmp_path / "model", street(4), Config(epochs=1, margin=0.3))
    assert model.identity != start.identity
    assert "photos_given" not in model.fitted_on  # its centres came with it


def test_the_sources_are_noted_in_the_card(weights, street, tmp_path):
    about = {"places": ["/data/west.csv", "/data/north.csv"]}
    train("test_resnet-netvlad", street(4), Config(epochs=1), out=tmp_path / "run", about=about, workers=0)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["fitted_on"]["places"] == "west.csv, north.csv"


def test_models_that_cannot_be_trained_are_refused(street):
    from netvlad.describe.dense_vlad import DenseVLAD

    tables = street(3)
    with pytest.raises(
        ModelError, match=r"^densevlad cannot be trained: only a backbone with a pooling is, as resnet18-netvlad"
    ):
        train("densevlad", tables)
    with pytest.raises(ModelError, match="cannot be trained"):
        train(DenseVLAD(clusters=4), tables)
    with pytest.raises(ModelError, match="resnet18-netvlad-distinct stands for a way to search"):
        train("resnet18-netvlad-distinct", tables)
    with pytest.raises(ModelError, match="no model is called 'resnet18'"):
        train("resnet18", tables)


def test_a_hub_model_is_refused(street):
    from netvlad.pretrained.hub import HubDescriber

    with pytest.raises(ModelError, match="megaloc cannot be trained"):
        train(HubDescriber("megaloc", torch.nn.Identity()), street(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": Config(), "preset": "fast"}, "config has all settings"),
        ({"config": Config(), "lr": 1.0}, "config has all settings"),
        ({"resume": True}, "resume goes on with the run in the folder out"),
        ({"lrr": 1.0}, "settings: no key is called 'lrr'"),
        ({"preset": "slow"}, "no preset is called 'slow'"),
    ],
)
def test_settings_that_do_not_go_together(network, street, options, message):
    with pytest.raises(NetvladError, match=message):
        train(network("max"), street(3), **options)


def test_a_resumed_run_of_a_model_by_name_starts_from_its_own_copy(weights, street, tmp_path, monkeypatch):
    tables, run = street(5), tmp_path / "run"
    settings = {"epochs": 2, "batch": 2, "lr": 0.01, "margin": 0.3, "workers": 0}
    whole = train("test_resnet-netvlad", tables, out=tmp_path / "whole", **settings)
    stop(monkeypatch, lambda: train("test_resnet-netvlad", tables, out=run, **settings))
    monkeypatch.setattr("netvlad.training.run.fit", None)  # nothing is fitted again
    again = train("test_resnet-netvlad", tables, out=run, resume=True, **settings)
    assert again.model.identity == whole.model.identity


def test_a_run_of_version_0_1_0_goes_on(network, street, tmp_path, monkeypatch):
    """Its settings have the keys' old names, its checkpoint those and the backbone's."""
    tables, run = street(5), tmp_path / "run"
    settings = Config(epochs=2, batch=2, lr=0.05, margin=0.3, mining=Mining(cached_negatives=3, negatives=2))
    whole = train(network("max"), tables, settings, out=tmp_path / "whole", workers=0)
    stop(monkeypatch, lambda: train(network("max"), tables, settings, out=run, workers=0))
    old = {new: name for name, new in RENAMED.items()}
    values = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({old.get(k, k): v for k, v in values.items()}))
    path = run / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    state = json.loads(about["state"])
    state["settings"] = {old.get(k, k): v for k, v in state["settings"].items()}
    tensors = {name.replace(".backbone.", ".trunk."): tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, {**about, "state": json.dumps(state)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the settings are today's; the checkpoint's are renamed silently
        again = train(network("max"), tables, settings, out=run, resume=True, workers=0)
    assert again.model.identity == whole.model.identity


def stop(monkeypatch, go) -> None:
    """Interrupt a run before its fourth step."""
    step, calls = Trainer.step, []

    def stopped(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            go()
