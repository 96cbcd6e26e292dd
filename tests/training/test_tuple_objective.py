from __future__ import annotations

import numpy as np
import pytest
import torch

from netvlad.training import Config, Mining, train
from netvlad.training.network import TrainableNetwork


def config(**options) -> Config:
    return Config(**{"epochs": 3, "batch": 2, "refresh": 3, "lr": 0.05, "margin": 0.3, "storage": "float32", **options})


def test_a_partial_cache_of_all_negatives_is_the_full_one(network, street):
    """Drawn are all there are, so that both choose among the same; and refreshes come at the same moments."""
    tables, found = street(6), []
    for cache in ("full", "partial"):
        model = network("netvlad")
        record = train(model, tables, config(cache=cache)).record
        found.append(({k: v.clone() for k, v in model.state_dict().items()}, [e.violating for e in record.epochs]))
    assert found[0][1] == found[1][1]
    for key, tensor in found[0][0].items():
        torch.testing.assert_close(found[1][0][key], tensor, rtol=1e-4, atol=1e-5, msg=key)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_partial_cache_describes_what_is_needed(network, street, monkeypatch, freeze):
    described = []
    fill = TrainableNetwork.fill
    monkeypatch.setattr(
        TrainableNetwork, "fill", lambda self, c, rows: (described.append(rows), fill(self, c, rows))[1]
    )
    mining = Mining(sample=2, cached_negatives=1)
    record = train(network("max"), street(9), config(cache="partial", mining=mining, freeze=freeze), workers=0).record
    assert all(epoch.tuples for epoch in record.epochs)
    # blocks of 4 queries, batches being whole: 4 + 2 positives of each + at most 2 + 2 drawn + 1 remembered of each
    assert [len(rows) <= 4 + 8 + 4 + 4 for rows in described] == [True] * 9
    assert all(len(np.unique(rows)) == len(rows) for rows in described)


def test_what_was_not_described_is_never_asked_for(network, street, monkeypatch):
    from netvlad.training.descriptor_cache import DescriptorCache

    asked = []
    distances = DescriptorCache.squared_distances

    def watched(self, row, others):
        found = distances(self, row, others)
        asked.append(np.isfinite(found).all())
        return found

    monkeypatch.setattr(DescriptorCache, "squared_distances", watched)
    settings = config(cache="partial", mining=Mining(sample=3, cached_negatives=2), epochs=4, halve_every=2)
    train(network("max"), street(9), settings)
    assert all(asked)
    assert len(asked) == 2 * 4 * 9
