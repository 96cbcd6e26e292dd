from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from netvlad.describe.burst import VLADBuFF
from netvlad.describe.vlad import NetVLAD


def fitted(power: float, channels: int = 5, clusters: int = 3) -> VLADBuFF:
    rng = np.random.default_rng(1)
    layer = VLADBuFF(channels, clusters, power=power)
    x = rng.standard_normal((200, channels))
    layer.initialise(rng.standard_normal((clusters, channels)) / 3, x / np.linalg.norm(x, axis=1, keepdims=True))
    return layer


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).standard_normal((2, 5, 3, 4)).astype(np.float32))


def test_without_power_it_is_netvlad(maps):
    layer = fitted(0.0)
    plain = NetVLAD(5, 3)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(maps), plain(maps))


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_sum_of_the_definition(maps, masked):
    layer = fitted(0.5)
    mask = torch.ones(2, 1, 3, 4)
    if masked:
        mask[0, 0, 1], mask[1, 0, :, 2] = 0, 0
    got = layer(maps, mask if masked else None).detach().numpy()
    for n in range(2):
        kept = [i for i in range(12) if mask[n].flatten()[i]]
        x = [maps[n].flatten(1)[:, i].double().numpy() for i in kept]
        x = [v / math.sqrt(v @ v) for v in x]
        weight, centres = layer.weight.detach().double().numpy(), layer.centres.detach().double().numpy()
        total = np.zeros((3, 5))
        for v in x:
            count = sum(1 / (1 + math.exp(-(8 * (2 * (v @ u) - 2) + 7))) for u in x)
            scores = np.exp(weight @ v)
            for k in range(3):
                total[k] += scores[k] / scores.sum() / math.sqrt(count) * (v - centres[k])
        total /= np.linalg.norm(total, axis=1, keepdims=True)
        np.testing.assert_allclose(got[n], total.ravel() / np.linalg.norm(total), atol=2e-5)


def test_a_repeated_descriptor_counts_less():
    layer, plain = fitted(1.0), fitted(0.0)
    once = torch.eye(5)[None, :, :, None]  # five different descriptors
    often = torch.cat([once, once[:, :, :1].repeat(1, 1, 20, 1)], dim=2)
    assert (layer(often) @ layer(once).T).item() > (plain(often) @ plain(once).T).item()


def test_it_passes_gradients(maps):
    layer = fitted(0.5)
    maps.requires_grad_()
    layer(maps)[:, 0].sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad.abs().sum() > 0
