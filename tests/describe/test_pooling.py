from __future__ import annotations

import math

import pytest
import torch

from netvlad.describe.pooling import Avg, GeM, Max, defined_locations, make_pooling
from netvlad.describe.vlad import VLAD, NetVLAD
from netvlad.errors import ModelError
from netvlad.registry import poolings

# two channels of a 2x2 map: maxima 3 and 4, means 1 and 2
SMALL = torch.tensor([[[[-1.0, 3.0], [0.0, 2.0]], [[4.0, 0.0], [4.0, 0.0]]]])


def test_max():
    torch.testing.assert_close(Max(2)(SMALL), torch.tensor([[0.6, 0.8]]))


def test_max_of_negatives_stays_negative():
    torch.testing.assert_close(Max(2)(-SMALL), torch.tensor([[1.0, 0.0]]))  # maxima 1 and 0
    torch.testing.assert_close(Max(2)(SMALL - 10), torch.tensor([[-7.0, -6.0]]) / math.sqrt(85))


def test_avg():
    torch.testing.assert_close(Avg(2)(SMALL), torch.tensor([[1.0, 2.0]]) / math.sqrt(5))


def test_gem_by_hand():
    # p = 3: cube root of the mean of cubes; the -1 and the zeros count as 1e-6
    expected = torch.tensor([[(35 / 4) ** (1 / 3), 32 ** (1 / 3)]])
    torch.testing.assert_close(GeM(2)(SMALL), expected / expected.norm())
    expected = torch.tensor([[math.sqrt(13 / 4), math.sqrt(8)]])
    torch.testing.assert_close(GeM(2, p=2.0)(SMALL), expected / expected.norm())


def test_gem_lies_between_mean_and_maximum():
    x = torch.rand(3, 8, 5, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(GeM(2, p=1.0)(x), Avg(2)(x))
    torch.testing.assert_close(GeM(2, p=150.0)(x), Max(2)(x), rtol=0, atol=0.01)


def test_the_power_of_gem_is_trained():
    gem, x = GeM(2), torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) + 0.1
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


# -- undefined locations ----------------------------------------------------------------------------------------------

LEFT = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])  # of SMALL: channels (-1, 0) and (4, 4)


def test_masked_by_hand():
    torch.testing.assert_close(Max(2)(SMALL, LEFT), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(Max(2)(SMALL - 10, LEFT), torch.tensor([[-10.0, -6.0]]) / math.sqrt(136))
    torch.testing.assert_close(Avg(2)(SMALL, LEFT), torch.tensor([[-0.5, 4.0]]) / math.sqrt(16.25))
    x = torch.tensor([[[[2.0, 9.0], [4.0, 9.0]], [[4.0, 9.0], [5.0, 9.0]]]])
    expected = torch.tensor([[(72 / 2) ** (1 / 3), (189 / 2) ** (1 / 3)]])
    torch.testing.assert_close(GeM(2)(x, LEFT), expected / expected.norm())


@pytest.mark.parametrize("name", poolings.names())
def test_masked_is_that_of_the_locations_left(name):
    g = torch.Generator().manual_seed(4)
    pool = make_pooling(name, 6, 4)
    if hasattr(pool, "initialise"):
        descriptors = torch.nn.functional.normalize(torch.randn(50, 6, generator=g))
        pool.initialise(descriptors[:4].numpy(), descriptors.numpy())
    x = torch.randn(3, 6, 4, 5, generator=g)
    mask = (torch.rand(3, 1, 4, 5, generator=g) > 0.5).float()
    out = pool(x, mask)
    for image, m, vector in zip(x, mask, out, strict=True):
        left = image[:, m[0] == 1]
        assert 0 < left.shape[1] < 20
        torch.testing.assert_close(pool(left[None, :, :, None])[0], vector, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(pool(x, torch.ones(3, 1, 4, 5)), pool(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(pool(torch.where(mask == 1, x, 1e4), mask), out, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(pool(x.bfloat16(), mask), pool(x.bfloat16().float(), mask))


@pytest.mark.parametrize("name", ["max", "avg", "gem"])
def test_no_gradient_reaches_what_is_masked(name):
    x = (torch.rand(2, 3, 3, 4, generator=torch.Generator().manual_seed(5)) + 0.1).requires_grad_()
    mask = torch.ones(2, 1, 3, 4)
    mask[:, :, 1] = 0
    make_pooling(name, 3, 4)(x, mask)[:, 0].sum().backward()
    assert not x.grad[:, :, 1].any()
    assert x.grad.abs().max() > 1e-3
    assert torch.isfinite(x.grad).all()


def test_a_location_counts_while_a_quarter_of_its_cell_at_most_is_undefined():
    defined = torch.ones(1, 1, 8, 12)
    defined[0, 0, 0, :4] = 0  # 4 of 16 pixels
    defined[0, 0, 0, 4:8] = defined[0, 0, 1, 4] = 0  # 5
    defined[0, 0, 4:, 8:] = 0  # all
    torch.testing.assert_close(defined_locations(defined, (2, 3)), torch.tensor([[[[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]]]))


def test_cells_of_a_map_that_does_not_divide_the_photo():
    g = torch.Generator().manual_seed(6)
    for (height, width), (h, w) in (((72, 96), (5, 6)), ((50, 33), (4, 3)), ((37, 61), (2, 4)), ((20, 20), (7, 7))):
        defined = (torch.rand(2, 1, height, width, generator=g) > 0.25).float()
        mask = defined_locations(defined, (h, w))
        for n in range(2):
            for i in range(h):
                for j in range(w):
                    rows = slice(i * height // h, -(-(i + 1) * height // h))
                    part = defined[n, 0, rows, j * width // w : -(-(j + 1) * width // w)]
                    assert mask[n, 0, i, j] == (4 * int((part == 0).sum()) <= part.numel())
        assert 0 < mask.mean() < 1


def test_where_nothing_is_defined_all_locations_count():
    defined = torch.zeros(3, 1, 8, 8)
    defined[1, 0, :4, :4] = 1
    defined[2, 0, :2] = 1  # half of two cells: none that counts
    mask = defined_locations(defined, (2, 2))
    torch.testing.assert_close(mask[:, 0], torch.tensor([[[1.0, 1], [1, 1]], [[1, 0], [0, 0]], [[1, 1], [1, 1]]]))


@pytest.mark.parametrize(
    ("name", "kind", "dim"),
    [("max", Max, 6), ("avg", Avg, 6), ("gem", GeM, 6), ("vlad", VLAD, 24), ("netvlad", NetVLAD, 24),
     ("netvlad2", NetVLAD, 24)],
)  # fmt: skip
def test_by_name(name, kind, dim):
    pool = make_pooling(name, 6, 4)
    assert type(pool) is kind
    assert pool.dim == dim
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
    assert ", ".join(poolings) in str(error.value)
    assert set(poolings) >= {"max", "avg", "gem", "vlad", "netvlad", "netvlad2"}  # others register on import
