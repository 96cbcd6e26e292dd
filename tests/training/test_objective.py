from __future__ import annotations

import pytest
import torch

from netvlad.errors import NetvladError
from netvlad.registry import losses
from netvlad.training import Config, Mining, Trainer, ranking_loss, train
from netvlad.training.config import LOSSES
from netvlad.training.multi_similarity import MultiSimilarityObjective
from netvlad.training.softmax_objective import SoftmaxObjective
from netvlad.training.tuple_objective import TupleObjective


@pytest.fixture
def registered(monkeypatch):
    """register(loss): its name is "mine" until the test ends."""
    losses.names()  # the package's own are registered on the first look-up
    monkeypatch.setattr(losses, "_entries", dict(losses._entries))
    return losses.register("mine")


def config(**options) -> Config:
    options = {"epochs": 2, "lr": 0.05, "storage": "float32", "margin": 0.3, **options}
    return Config(**options)


def test_the_names_of_the_package_are_registered():
    assert set(LOSSES) <= set(losses.names())  # in the order of their first import


@pytest.mark.parametrize(
    ("loss", "kind"),
    [("ranking", TupleObjective), ("softmax", SoftmaxObjective), ("multi-similarity", MultiSimilarityObjective)],
)
def test_each_loss_has_its_objective(network, street, loss, kind):
    objective = Trainer(network("max"), *street(3), config(loss=loss, mining=Mining(apart=None))).objective
    assert type(objective) is kind


def test_a_registered_copy_of_the_ranking_loss_trains_as_it_does(network, street, registered):
    calls = []

    @registered
    def mine(query, positives, negatives, margin):
        calls.append((query.shape, positives.shape, negatives.shape, margin))
        return ranking_loss(query, positives, negatives, margin)

    tables = street(4)
    ours, theirs = network("max"), network("max")
    found = train(ours, tables, config(loss="mine"))
    expected = train(theirs, tables, config())
    assert [e.loss for e in found.record.epochs] == [e.loss for e in expected.record.epochs]
    assert [e.violating for e in found.record.epochs] == [e.violating for e in expected.record.epochs]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
    dim = ours.dim
    assert calls[0] == ((dim,), (1, dim), (calls[0][2][0], dim), 0.3)


def test_a_tensor_alone_counts_once_a_tuple(network, street, registered):
    """The gradient of a batch is then the mean over its tuples: d/dq of q . c is c, whatever the batch."""

    @registered
    def mine(query, positives, negatives, margin):
        return query.sum() * 2

    trainer = Trainer(network("max"), *street(3), config(loss="mine", batch=3, mining=Mining(apart=None)))
    trainer.network.open()
    trainer.refresh(trainer.objective.order(1))
    units = trainer.objective.order(1).tolist()
    stats = trainer.objective.backward(units, 1)
    assert stats.violating == stats.tuples == 3
    network = trainer.network
    rows = trainer.objective.row_of[units].tolist()
    vectors = network.vectors(network.source.take(rows), 3)
    assert stats.loss == pytest.approx(2 * float(vectors.detach().sum()), rel=1e-4)
    expected = torch.autograd.grad(2 * vectors.sum() / 3, network.parameters, allow_unused=True)
    for parameter, gradient in zip(network.parameters, expected, strict=True):
        if gradient is not None:
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)


def test_an_unknown_loss_is_refused_with_all_names(registered):
    registered(ranking_loss)
    with pytest.raises(
        NetvladError, match="loss 'triplet' does not exist; choose one of ranking, softmax, multi-similarity, mine"
    ):
        config(loss="triplet")
