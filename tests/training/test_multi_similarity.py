from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.training import Config, train
from netvlad.training.trainer import Trainer


def config(**options) -> Config:
    return Config(**{"loss": "multi-similarity", "epochs": 3, "batch": 3, "lr": 0.05, **options})


def by_loop(x: np.ndarray, labels: list[int]) -> tuple[float, int]:
    """Wang et al., equations 11 to 13 with alpha 1, beta 50, lambda 0 and epsilon 0.1, number by number."""
    n, total, mined = len(x), 0.0, 0
    cosine = [[float(a @ b) for b in x] for a in x]
    for i in range(n):
        positive = [cosine[i][j] for j in range(n) if j != i and labels[j] == labels[i]]
        negative = [cosine[i][j] for j in range(n) if labels[j] != labels[i]]
        p = [s for s in positive if negative and s - 0.1 < max(negative)]
        q = [s for s in negative if positive and s + 0.1 > min(positive)]
        mined += len(p) + len(q)
        total += math.log(1 + sum(math.exp(-s) for s in p)) if p else 0.0
        total += math.log(1 + sum(math.exp(50 * s) for s in q)) / 50 if q else 0.0
    return total / n, mined


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_like_a_loop_in_float64(network, street, seed):
    objective = Trainer(network("max"), *street(3), config()).objective
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 14)
    x = rng.normal(size=(14, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    loss, pairs = objective.loss(torch.from_numpy(x), torch.from_numpy(labels))
    expected, mined = by_loop(x, labels.tolist())
    assert pairs == mined
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_nothing_to_mine(network, street):
    objective = Trainer(network("max"), *street(3), config()).objective
    x = torch.eye(4)[[0, 0, 1, 1]].requires_grad_()
    loss, pairs = objective.loss(x, torch.tensor([0, 0, 1, 1]))
    assert (loss.item(), pairs) == (0.0, 0)
    loss.backward()


def test_places_are_learnt(network, street):
    record = train(network("netvlad"), street(6), config(epochs=6, optimizer="adamw", lr=3e-3), workers=0).record
    assert (record.queries, record.best) == (6, 6)
    losses = [epoch.loss for epoch in record.epochs]
    assert losses[-1] < 0.9 * losses[0]
    assert record.epochs[0].tuples == 6
    assert all(epoch.steps == 2 for epoch in record.epochs)


def test_a_step_by_hand(network, street):
    """Of all three photos of two places in one batch: the gradient of the loss by a loop."""
    tables = street(2)
    model, reference = network("netvlad"), network("netvlad")
    objective = Trainer(network("netvlad"), *tables, config()).objective
    members = np.concatenate(objective.places.members)
    settings = config(epochs=1, batch=2, momentum=0.0, weight_decay=0.0, storage="float32", lr=0.01)
    record = train(model, tables, settings, workers=0).record
    paths = np.concatenate([tables[0].path, tables[1].path])[members]
    from netvlad.images.read import read_image

    x = torch.cat([reference(reference.prepare(read_image(path)[None].copy())) for path in paths])
    labels = [0] * len(objective.places.members[0]) + [1] * len(objective.places.members[1])
    expected, pairs = by_loop(x.detach().double().numpy(), labels)
    assert record.epochs[0].loss == pytest.approx(expected, rel=1e-4)
    assert record.epochs[0].violating == pairs > 0
    loss, _ = objective.loss(x, torch.tensor(labels))
    loss.backward()
    trained = dict(model.named_parameters())
    for name, p in reference.named_parameters():
        if name.startswith(("backbone.body.layer3.", "pooling.")):
            torch.testing.assert_close(trained[name], p - 0.01 * p.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_photos_that_cannot_be_read(network, street):
    database, queries = street(4)
    for path in database.path[[0, 3]]:
        with open(path, "wb") as file:
            file.write(b"no photo")
    record = train(network("max"), (database, queries), config(epochs=1), workers=0).record
    assert len(record.unreadable) == 2
    for path in Places.concat([database, queries]).path:
        with open(path, "wb") as file:
            file.write(b"no photo")
    for freeze in (True, False):
        with pytest.raises(NetvladError, match=r"none of the 8 photos can be read, such as .*is not an image"):
            train(network("max"), (database, queries), config(epochs=1, freeze=freeze), workers=0)


def test_without_the_library(network, street, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    with pytest.raises(NetvladError, match=r"needs pytorch-metric-learning: pip install 'netvlad\[train\]'"):
        train(network("max"), street(3), config())
