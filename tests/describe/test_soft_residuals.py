from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from netvlad.describe.soft_residuals import SoftResiduals, inverse_norm
from netvlad.describe.vlad import NetVLAD


def given(n: int = 2, d: int = 5, k: int = 3, size: int = 7, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """x, weight, bias, centres that want gradients, and a mask; one location is zero, one is left out."""
    g = torch.Generator().manual_seed(0)
    shapes = (n, d, size), (k, d), (k,), (k, d)
    tensors = [torch.randn(shape, generator=g, dtype=dtype) for shape in shapes]
    mask = torch.ones(n, 1, size, dtype=dtype)
    mask[0, 0, 2] = 0
    return [t.requires_grad_() for t in tensors] + [mask]


def residual_by_residual(
    x: Tensor, weight: Tensor, bias: Tensor | None, centres: Tensor, mask: Tensor | None
) -> Tensor:
    """Equation 4 as it is printed, for automatic differentiation."""
    x = F.normalize(x, dim=1)
    logits = torch.einsum("kd,ndl->nkl", weight, x)
    share = (logits if bias is None else logits + bias[:, None]).softmax(dim=1)
    share = share if mask is None else share * mask
    return ((x[:, None] - centres[None, :, :, None]) * share[:, :, None]).sum(-1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_values_and_gradients_are_those_of_equation_4(biased, masked):
    x, weight, bias, centres, mask = given()
    inputs = [x, weight, bias if biased else None, centres, mask if masked else None]
    wanted = [t for t in inputs[:4] if t is not None]
    ours, plain = SoftResiduals.apply(*inputs), residual_by_residual(*inputs)
    torch.testing.assert_close(ours, plain)
    outer = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    for a, b in zip(torch.autograd.grad(ours, wanted, outer), torch.autograd.grad(plain, wanted, outer), strict=True):
        torch.testing.assert_close(a, b)


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(SoftResiduals.apply, tuple(given()))


@pytest.mark.parametrize("wanted", range(4))
def test_each_gradient_without_the_others(wanted):
    *inputs, mask = given()
    everything = torch.autograd.grad(SoftResiduals.apply(*inputs, mask).square().sum(), inputs)
    alone = [t.detach().requires_grad_(i == wanted) for i, t in enumerate(inputs)]
    (found,) = torch.autograd.grad(SoftResiduals.apply(*alone, mask).square().sum(), alone[wanted])
    torch.testing.assert_close(found, everything[wanted], rtol=1e-12, atol=1e-12)  # of float64


def test_a_location_of_zeros_has_a_finite_gradient():
    x, weight, bias, centres, _ = given(dtype=torch.float32)
    with torch.no_grad():
        x[0, :, 3] = 0
        x[1, :, 4] = 1e-25  # its square is no float32
    assert inverse_norm(x)[0, 0, 3].item() == pytest.approx(1e12)
    inputs = x, weight, bias, centres
    for gradient in torch.autograd.grad(SoftResiduals.apply(*inputs, None).sum(), inputs):
        assert torch.isfinite(gradient).all()


def test_a_vector_does_not_depend_on_its_batch():
    x, weight, bias, centres, _ = given(n=3, d=32, k=8, size=50, dtype=torch.float32)
    whole = SoftResiduals.apply(x, weight, bias, centres, None)
    for i in range(3):
        torch.testing.assert_close(SoftResiduals.apply(x[i : i + 1], weight, bias, centres, None)[0], whole[i])


def test_the_layer_is_as_before_to_rounding():
    """Against vector_norm and automatic differentiation, in float32, at the size of real maps."""
    torch.manual_seed(0)
    layer = NetVLAD(128, 16)
    layer.initialise(torch.randn(16, 128).numpy() / 11, torch.randn(500, 128).numpy() / 11)
    x = torch.rand(2, 128, 12, 16, requires_grad=True)
    flat = x.flatten(2)
    inverse = torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(1e-12).reciprocal()
    share = (torch.matmul(layer.weight, flat) * inverse).softmax(dim=1)
    sums = torch.matmul(share * inverse, flat.transpose(1, 2)) - share.sum(-1, keepdim=True) * layer.centres
    before = F.normalize(F.normalize(sums, dim=2).flatten(1), dim=1)
    after, outer = layer(x), torch.randn(2, layer.dim)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-6)
    inputs = x, layer.weight, layer.centres
    for a, b in zip(torch.autograd.grad(after, inputs, outer), torch.autograd.grad(before, inputs, outer), strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm()
