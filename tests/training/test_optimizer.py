from __future__ import annotations

import pytest
import torch
from torch import nn

import netvlad
from netvlad.describe.whitening import Whitening
from netvlad.errors import ModelError
from netvlad.training.config import Config
from netvlad.training.optimizer import copies, make_optimizer, only_trainable, put_back, trained_parameters
from netvlad.training.split import split


def test_from_the_split_on_and_the_pooling(network):
    model = network("netvlad2")
    found = trained_parameters(model, split(model.backbone, "layer2"))
    known = {id(p): name for name, p in model.named_parameters()}
    named = {known[id(p)] for p in found}
    assert named == {
        n for n in known.values() if n.startswith(("backbone.body.layer2.", "backbone.body.layer3.", "pooling."))
    }
    assert {"pooling.weight", "pooling.centres", "pooling.bias", "backbone.body.layer3.0.bn1.weight"} <= named
    alone = trained_parameters(model, split(model.backbone, "pooling"))
    assert {known[id(p)] for p in alone} == {"pooling.weight", "pooling.centres", "pooling.bias"}


def test_gradients_for_those_alone_and_for_a_while(network):
    model = network("netvlad")
    model.pooling.weight.requires_grad_(False)
    found = trained_parameters(model, split(model.backbone, "layer3"))
    with only_trainable(model, found):
        model(torch.rand(2, 3, 64, 64))[0, 0].backward()
        assert {id(p) for p in model.parameters() if p.requires_grad} == {id(p) for p in found}
        assert {id(p) for p in model.parameters() if p.grad is not None} == {id(p) for p in found}
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["pooling.weight"]
    assert all(p.grad is None for p in model.parameters())


def test_what_cannot_be_trained(network, weights):
    unfitted = netvlad.load("test_resnet-netvlad", clusters=4)
    with pytest.raises(ModelError, match="no cluster centres yet: fit them"):
        trained_parameters(unfitted, split(unfitted.backbone))
    with pytest.raises(ModelError, match="nothing to train from pooling on: max pooling has no parameters"):
        trained_parameters(network("max"), split(network("max").backbone, "pooling"))
    whitened = network("max")
    whitened.whitening = Whitening(whitened.dim, 4)
    with pytest.raises(ModelError, match=r"is whitened, .* train first, then whiten"):
        trained_parameters(whitened, split(whitened.backbone))


def test_the_optimiser_by_hand():
    p = nn.Parameter(torch.tensor([2.0]))
    optimizer = make_optimizer([p], Config(lr=0.1, momentum=0.5, weight_decay=0.25))
    for grad, expected in ((1.0, 2.0 - 0.1 * 1.5), (0.0, 1.85 - 0.1 * (0.25 * 1.85 + 0.5 * 1.5))):
        p.grad = torch.tensor([grad])
        optimizer.step()
        assert p.item() == pytest.approx(expected)
    assert isinstance(make_optimizer([p], Config(optimizer="adamw")), torch.optim.AdamW)


def test_weights_are_put_back():
    p = nn.Parameter(torch.tensor([1.0, 2.0]))
    kept = copies([p])
    p.data.add_(5)
    assert kept[0].tolist() == [1, 2]
    put_back([p], kept)
    assert p.tolist() == [1, 2]
