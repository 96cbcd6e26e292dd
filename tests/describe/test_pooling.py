from __future__ import annotations

import math

import pytest
import torch

from netvlad.describe.pooling import POOLINGS, Avg, GeM, Max, make_pooling, pooled_dim
from netvlad.describe.vlad import VLAD, NetVLAD
from netvlad.errors import ModelError

# two channels of a 2x2 map: maxima 3 and 4, means 1 and 2
SMALL = torch.tensor([[[[-1.0, 3.0], [0.0, 2.0]], [[4.0, 0.0], [4.0, 0.0]]]])


def test_max():
    torch.testing.assert_close(Max()(SMALL), torch.tensor([[0.6, 0.8]]))


def test_max_of_negatives_stays_negative():
    torch.testing.assert_close(Max()(-SMALL), torch.tensor([[1.0, 0.0]]))  # maxima 1 and 0
    torch.testing.assert_close(Max()(SMALL - 10), torch.tensor([[-7.0, -6.0]]) / math.sqrt(85))


def test_avg():
    torch.testing.assert_close(Avg()(SMALL), torch.tensor([[1.0, 2.0]]) / math.sqrt(5))


def test_gem_by_hand():
    # p = 3: cube root of the mean of cubes; the -1 and the zeros count as 1e-6
    expected = torch.tensor([[(35 / 4) ** (1 / 3), 32 ** (1 / 3)]])
    torch.testing.assert_close(GeM()(SMALL), expected / expected.norm())
    expected = torch.tensor([[math.sqrt(13 / 4), math.sqrt(8)]])
    torch.testing.assert_close(GeM(2.0)(SMALL), expected / expected.norm())


def test_gem_lies_between_mean_and_maximum():
    x = torch.rand(3, 8, 5, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(GeM(1.0)(x), Avg()(x))
    torch.testing.assert_close(GeM(150.0)(x), Max()(x), rtol=0, atol=0.01)


def test_the_power_of_gem_is_trained():
    gem, x = GeM(), torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) + 0.1
    (grad,) = torch.autograd.grad(gem(x)[:, 0].sum(), gem.p)

    def at(p: float) -> torch.Tensor:
        powered = x.double().pow(p).mean(dim=(2, 3)).pow(1 / p)
        return (powered / powered.norm(dim=1, keepdim=True))[:, 0].sum()

    slope = (at(3 + 1e-5) - at(3 - 1e-5)) / 2e-5
    assert abs(slope) > 1e-3
    torch.testing.assert_close(grad[0].double(), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["max", "avg", "gem"])
def test_vectors_are_of_unit_length_and_finite_everywhere(name):
    pool = make_pooling(name, 8, 4)
    x = torch.randn(4, 8, 3, 5, generator=torch.Generator().manual_seed(2))
    for scale in (1e-3, 1.0, 1e3):
        out = pool((scale * x).bfloat16())
        assert out.dtype == torch.float32
        torch.testing.assert_close(out.norm(dim=1), torch.ones(4))
    black = torch.zeros(1, 8, 3, 3, requires_grad=True)
    pool(black).sum().backward()
    assert torch.isfinite(black.grad).all()


@pytest.mark.parametrize(
    ("name", "kind", "dim"),
    [("max", Max, 6), ("avg", Avg, 6), ("gem", GeM, 6), ("vlad", VLAD, 24), ("netvlad", NetVLAD, 24),
     ("netvlad2", NetVLAD, 24)],
)  # fmt: skip
def test_by_name(name, kind, dim):
    pool = make_pooling(name, 6, 4)
    assert type(pool) is kind
    assert pooled_dim(name, 6, 4) == dim
    if kind is NetVLAD:
        assert pool.version == (2 if name == "netvlad2" else 1)
    if hasattr(pool, "initialise"):
        descriptors = torch.nn.functional.normalize(torch.randn(50, 6, generator=torch.Generator().manual_seed(3)))
        pool.initialise(descriptors[:4].numpy(), descriptors.numpy())
    assert pool(torch.rand(2, 6, 3, 3)).shape == (2, dim)


def test_a_name_that_does_not_exist_lists_those_that_do():
    with pytest.raises(ModelError) as error:
        make_pooling("mean", 6, 4)
    assert "'mean'" in str(error.value)
    assert ", ".join(POOLINGS) in str(error.value)
    assert list(POOLINGS) == ["max", "avg", "gem", "vlad", "netvlad", "netvlad2"]
