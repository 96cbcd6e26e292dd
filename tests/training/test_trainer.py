from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import netvlad
from netvlad.errors import ModelError, NetvladError, PlacesError
from netvlad.places import Places
from netvlad.training import Config, Diverged, Mining, train
from netvlad.training.trainer import Trainer


def config(**options) -> Config:
    """A short run in full precision with all of a small street in it."""
    return Config(**{"epochs": 3, "lr": 0.05, "storage": "float32", "margin": 0.3, **options})


def weights(model) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def assert_same(a: dict, b: dict, **tolerance) -> None:
    for key in a:
        torch.testing.assert_close(a[key], b[key], **(tolerance or {"rtol": 0, "atol": 0}), msg=key)


@pytest.mark.parametrize(
    ("pooling", "options"),
    [
        ("max", {"lr": 1.0}),
        ("max", {"start": "conv1"}),
        ("netvlad", {"optimizer": "adamw", "lr": 3e-3}),
        ("netvlad", {"optimizer": "adamw", "lr": 0.1, "start": "pooling"}),
        ("gem", {"optimizer": "adamw", "lr": 3e-3}),
    ],
)
def test_training_lowers_the_loss(network, street, pooling, options):
    model = network(pooling)
    record = train(model, street(6), config(epochs=6, **options)).record
    assert (record.queries, record.skipped, record.best) == (6, 0, 6)
    losses = [epoch.loss for epoch in record.epochs]
    assert len(losses) == 6
    assert losses[-1] < 0.9 * losses[0]
    assert record.epochs[0].tuples == 6
    assert all(epoch.violating <= 10 * epoch.tuples for epoch in record.epochs)


def test_only_what_is_trained_changes(network, street):
    model = network("netvlad")
    before = weights(model)
    modes = [m.training for m in model.modules()]
    train(model, street(), config(epochs=1))
    after = weights(model)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {
        key for key, _ in model.named_parameters() if key.startswith(("backbone.body.layer3.", "pooling."))
    }  # and so no running statistics of batch normalisation
    assert [m.training for m in model.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("pooling", ["max", "netvlad"])
def test_the_frozen_path_is_the_plain_path(network, street, pooling):
    tables = street()
    results = []
    for freeze in (True, False):
        model = network(pooling)
        record = train(model, tables, config(freeze=freeze)).record
        results.append((weights(model), [epoch.loss for epoch in record.epochs], record.kept))
    (ours, losses, kept), (plain, expected, nowhere) = results
    assert (kept, nowhere) == ("in memory", "nowhere")
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    assert_same(ours, plain, rtol=1e-3, atol=1e-4)


def test_the_first_step_by_hand(network, street):
    """The gradient of one batch: every violating triplet counts once, whichever query it is of."""
    database, queries = street()
    model, reference = network("netvlad"), network("netvlad")
    settings = config(epochs=1, batch=5, lr=0.01, momentum=0.0, weight_decay=0.0)
    record = train(model, (database, queries), settings).record

    x = {
        name: torch.cat([reference.prepare(image[None]) for image in images])
        for name, images in (("db", pixels(reference, database)), ("q", pixels(reference, queries)))
    }
    db, q = reference(x["db"]), reference(x["q"])
    loss, violating = 0, 0
    for i in range(5):
        d2 = (db - q[i]).square().sum(1)
        positive = d2[2 * i : 2 * i + 2].min()
        negatives = torch.cat([d2[: 2 * i], d2[2 * i + 2 :]])  # the other 8: fewer than 10, so all that violate
        terms = (positive + 0.3 - negatives).clamp_min(0)
        loss, violating = loss + terms.sum(), violating + int((terms > 0).sum())
    (loss / violating).backward()
    assert record.epochs[0].violating == violating > 5
    assert record.epochs[0].loss == pytest.approx(loss.item() / 5, rel=1e-4)
    trained = dict(model.named_parameters())
    for name, p in reference.named_parameters():
        if name.startswith(("backbone.body.layer3.", "pooling.")):
            torch.testing.assert_close(trained[name], p - 0.01 * p.grad, rtol=1e-4, atol=1e-6, msg=name)


def pixels(model, places: Places) -> list[np.ndarray]:
    from netvlad.images.read import read_image

    return [read_image(path).copy() for path in places.path]


def test_the_same_seed_gives_the_same_weights(network, street):
    tables = street()
    found = []
    for seed in (0, 0, 1):
        model = network("max")
        train(model, tables, config(seed=seed, mining=Mining(sample=3)))
        found.append(weights(model))
    assert_same(found[0], found[1])
    assert any(not torch.equal(found[0][k], found[2][k]) for k in found[0])


def test_rates_halve_and_intervals_double(network, street):
    record = train(network(), street(), config(epochs=5, halve_every=2, refresh=3, batch=2)).record
    assert [epoch.lr for epoch in record.epochs] == pytest.approx([0.05, 0.05, 0.025, 0.025, 0.0125])
    assert [epoch.refresh for epoch in record.epochs] == [3, 3, 6, 6, 12]


def test_when_the_cache_is_refreshed(network, street, monkeypatch):
    calls = []
    refresh, step = Trainer.refresh, Trainer.step
    monkeypatch.setattr(Trainer, "refresh", lambda self, q: (calls.append("refresh"), refresh(self, q))[1])
    monkeypatch.setattr(Trainer, "step", lambda self, e, q: (calls.append(len(q)), step(self, e, q))[1])
    train(network(), street(7), config(epochs=2, batch=2, refresh=4))
    epoch = [2, 2, "refresh", 2, 1]
    assert calls == ["refresh", *epoch, "refresh", *epoch]  # the last descriptors would serve nobody


def test_a_batch_without_violating_triplets_makes_no_step(network, street):
    database, queries = street(4)
    # queries that are their positives to the last bit: no negative comes near the margin
    same = Places.build(path=database.path[::2], easting=queries.easting, northing=0.0)
    model = network("max")
    before = weights(model)
    record = train(model, (database, same), config(epochs=2, margin=1e-9, weight_decay=0.1)).record
    assert [(e.steps, e.tuples, e.violating, e.loss) for e in record.epochs] == [(0, 0, 0, 0.0)]
    assert_same(weights(model), before)  # not even the weight decay's
    assert "in epoch 1 the loss stood at zero" in record.stopped  # a second epoch would repeat it


def test_a_run_that_stood_still_stands_still_when_it_is_resumed(network, street, tmp_path):
    database, queries = street(4)
    same = Places.build(path=database.path[::2], easting=queries.easting, northing=0.0)
    settings = config(epochs=3, margin=1e-9)
    for resume in (False, True):
        record = train(network("max"), (database, same), settings, out=tmp_path / "run", resume=resume).record
        assert len(record.epochs) == 1
        assert "stood at zero" in record.stopped


# -- rules ----------------------------------------------------------------------------------------------------------


def test_the_time_machine_decides_on_positives(network, street):
    database, queries = street()
    for rule, rest in (("other-date", 1), ("same-date", 0)):
        training = Trainer(network(), database, queries, config(mining=Mining(rule)))
        tuples = training.objective.tuples
        found = {int(i): tuples.positives(i).tolist() for i in tuples.usable}
        assert found == {i: [2 * i + rest] for i in range(5)}
    late = Places.build(
        path=queries.path, easting=queries.easting, northing=queries.northing, time="2025-05-09T12:00:00"
    )
    with pytest.raises(PlacesError, match="none that is of the same date"):
        train(network(), (database, late), config(mining=Mining("same-date")))


def test_queries_without_a_positive_are_skipped(network, street):
    database, queries = street()
    far = Places.build(path=queries.path, easting=queries.easting - 15.0 * (np.arange(5) > 2), northing=0.0)
    record = train(network(), (database, far), config(epochs=1)).record
    assert (record.queries, record.skipped) == (3, 2)


# -- validation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("freeze", [True, False])
def test_the_best_epoch_is_kept(network, street, monkeypatch, freeze):
    recalls = iter([0.1, 0.2, 0.7, 0.7, 0.3])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *args: next(recalls))
    seen = []
    epoch = Trainer.epoch
    monkeypatch.setattr(
        Trainer, "epoch", lambda self, *a: (epoch(self, *a), seen.append(weights(self.network.model)))[0]
    )
    model, tables = network("max"), street()
    record = train(model, tables, config(epochs=4, freeze=freeze), validation=tables, workers=0).record
    assert record.recall == 0.1
    assert [e.recall for e in record.epochs] == [0.2, 0.7, 0.7, 0.3]
    assert record.best == 2  # the first of equals
    assert_same(weights(model), seen[1])


@pytest.mark.parametrize("resume", [False, True])
def test_the_start_is_kept_where_no_epoch_is_better(network, street, monkeypatch, tmp_path, resume):
    """It competes as epoch 0, and wins a tie: what training gains is to be seen."""
    recalls = iter([0.9, 0.8, 0.9, 0.85, 0.1])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *args: next(recalls))
    model, tables, run = network("max"), street(), tmp_path / "run"
    before = weights(model)
    if resume:
        end, ended = Trainer._end, []

        def killed(self, epoch):
            end(self, epoch)
            ended.append(epoch)
            if len(ended) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "_end", killed)
        with pytest.raises(KeyboardInterrupt):
            train(network("max"), tables, config(), validation=tables, out=run, workers=0)
        monkeypatch.setattr(Trainer, "_end", end)
        assert_same(weights(netvlad.load(run)), before)
    record = train(model, tables, config(), validation=tables, out=run, resume=resume, workers=0).record
    assert (record.best, record.best_recall) == (0, 0.9)
    assert len(record.epochs) == 3
    assert_same(weights(model), before)
    assert_same(weights(netvlad.load(run)), before)
    assert "training" not in netvlad.load(run).fitted_on


@pytest.mark.parametrize("freeze", [True, False])
def test_recall_is_that_of_the_model(network, street, freeze):
    tables, held = street(), street(12, seed=9)
    model = network("max")
    record = train(model, tables, config(epochs=1, freeze=freeze), validation=held, workers=0).record
    db, q = model.describe(list(held[0].path)), model.describe(list(held[1].path))
    order = np.argsort(-q @ db.T, axis=1)[:, :5]
    expected = np.mean([(order[i] // 2 == i).any() for i in range(12)])
    assert record.best_recall == pytest.approx(expected)


def test_the_record_and_the_card(network, street, tmp_path):
    model, tables = network("netvlad"), street()
    record = train(model, tables, config(epochs=2)).record
    assert record.epochs[0].recall is None
    assert record.start == "layer3"
    assert {"mining", "loading", "forward", "backward", "cache"} == set(record.epochs[0].seconds)
    model.save(tmp_path / "model")
    card = json.loads((tmp_path / "model" / "card.json").read_text())["fitted_on"]["training"]
    assert card["config"]["mining"]["positives"] == "any"
    assert (card["database"], card["queries"], card["epoch"], card["recall@5"]) == (10, 5, 2, None)


# -- what cannot go well --------------------------------------------------------------------------------------------


def test_unreadable_photos_are_left_out(network, street):
    database, queries = street()
    paths = [*database.path]
    for path in (paths[0], paths[5], queries.path[3]):
        with open(path, "wb") as file:
            file.write(b"no photo")
    for freeze in (True, False):
        model = network("max")
        record = train(model, (database, queries), config(epochs=1, freeze=freeze)).record
        assert set(record.unreadable) == {paths[0], paths[5], queries.path[3]}
        assert record.epochs[0].tuples <= 4
        assert all(torch.isfinite(p).all() for p in model.parameters())


def test_nothing_can_be_read(network, street):
    database, queries = street(3)
    for path in queries.path:
        with open(path, "wb") as file:
            file.write(b"no photo")
    with pytest.raises(NetvladError, match=r"none of the 3 queries can be read, such as .*q0\.png: is not an image"):
        train(network(), (database, queries), config(epochs=1))


def test_bad_starts_are_refused(network, street, weights):
    import netvlad

    database, queries = street(3)
    with pytest.raises(ModelError, match="no cluster centres yet"):
        Trainer(netvlad.load("test_resnet-netvlad", clusters=4), database, queries)
    one_spot = Places.build(path=database.path, easting=0.0, northing=0.0)
    with pytest.raises(PlacesError, match="are all positions equal"):
        train(network(), (one_spot, one_spot[:2]))
    with pytest.raises(PlacesError, match="none of the 3 queries has a potential positive"):
        train(network(), (database, Places.build(path=queries.path, easting=5e5, northing=0.0)))


def test_nan_at_the_start_leaves_the_model_as_it_was(network, street):
    model = network("max")
    before = weights(model)
    with pytest.raises(Diverged, match=r"test_resnet-max: .* of epoch 1; lower the learning rate \(1e\+30\)"):
        train(model, street(), config(lr=1e30))
    assert_same(weights(model), before)
    assert "training" not in model.fitted_on


def test_nan_later_brings_the_last_good_epoch_back(network, street, monkeypatch):
    step = Trainer.step
    good = []

    def broken(self, epoch, queries):
        if epoch.number == 3:
            good.append(weights(self.network.model))
            self.parameters[0].data.fill_(float("nan"))
        step(self, epoch, queries)

    monkeypatch.setattr(Trainer, "step", broken)
    model = network("max")
    record = train(model, street(), config(epochs=5)).record
    assert record.stopped.startswith("the loss is nan in batch 1 of epoch 3; lower the learning rate")
    assert (record.best, len(record.epochs)) == (2, 2)
    assert_same(weights(model), good[0])


def test_an_interrupted_run_leaves_the_best_so_far(network, street, monkeypatch):
    step = Trainer.step

    def interrupted(self, epoch, queries):
        if epoch.number == 2:
            raise KeyboardInterrupt
        step(self, epoch, queries)

    monkeypatch.setattr(Trainer, "step", interrupted)
    model, once = network("max"), network("max")
    tables = street()
    with pytest.raises(KeyboardInterrupt):
        train(model, tables, config(epochs=5))
    monkeypatch.undo()
    monkeypatch.setenv("NETVLAD_WEIGHTS", "")
    train(once, tables, config(epochs=1))
    assert_same(weights(model), weights(once))
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_on_disk_and_in_half_precision(network, street, tmp_path, precision):
    room = tmp_path / "room"
    room.mkdir()
    model = network("netvlad")
    settings = Config(epochs=4, lr=0.05, margin=0.3, memory=1000, folder=str(room), precision=precision)
    record = train(model, street(), settings).record
    assert record.kept == "on disk"
    assert record.epochs[-1].loss < record.epochs[0].loss
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert not list(room.iterdir())
