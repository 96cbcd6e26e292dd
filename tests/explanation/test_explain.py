from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netvlad
from netvlad.describe.vlad import NetVLAD
from netvlad.errors import ModelError
from netvlad.registry import poolings


class Middle(NetVLAD):
    """A pooling that is a NetVLAD and changes the directions of clusters: its parts are no parts of it."""

    def normalise(self, residuals):
        return super().normalise(residuals - residuals.mean(dim=1, keepdim=True))


class Plain(nn.Module):
    """A pooling of another package, as little as one must have."""

    def __init__(self, channels, clusters):
        super().__init__()
        self.dim = channels

    def forward(self, x, mask=None):
        return torch.nn.functional.normalize(x.mean(dim=(2, 3)), dim=1)


@pytest.fixture
def pooling(monkeypatch):
    def register(name, of):
        monkeypatch.setitem(poolings._entries, name, of)

    return register


def test_exact_where_the_model_can_be_taken_apart(make, pair):
    assert netvlad.explain(make(), *pair).exact


def test_parts_that_do_not_add_up_are_refused(make, pair, pooling):
    pooling("middle", Middle)
    model = make("middle")
    assert model.separable
    with pytest.raises(ModelError, match="add up"):
        netvlad.explain(model, *pair)


def test_a_pooling_without_parts_is_occluded(make, pair, pooling):
    pooling("plain", Plain)
    model = make("plain")
    assert not model.separable
    assert not netvlad.explain(model, *pair).exact
    with pytest.raises(ModelError, match="taken apart"):
        model.parts(pair[0])


def test_any_other_describer_is_occluded(make, pair):
    class Outside:
        """What a describer of another package shows of itself."""

        def __init__(self, inner):
            self.inner = inner
            self.name, self.dim, self.resize, self.takes_masks = "other", inner.dim, inner.resize, True

        def describe(self, images):
            return self.inner.describe(images)

    model = make("max")
    found = netvlad.explain(Outside(model), *pair)
    assert not found.exact
    assert found.similarity == pytest.approx(netvlad.explain(model, *pair).similarity, abs=1e-5)
    assert np.isfinite(found.query_map).all()
