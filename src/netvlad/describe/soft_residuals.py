"""Residual sums under soft assignment, with their gradient in closed form: the inside of the NetVLAD layer.

With x' = x / |x|, a = softmax_k(w_k . x' + b_k) and centres C, equation 4 is V = A X'^T - diag(A 1) C. The norms are
folded into the assignment, which is 8 times smaller than X: X is never copied. Written out, the gradient of X is one
matrix product and one pass; automatic differentiation takes two products and adds three tensors of the size of X.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-12


def inverse_norm(x: Tensor) -> Tensor:
    """1 / |x| (N, 1, L) of local descriptors (N, D, L); of those below 1e-12, 1e12."""
    # torch.linalg.vector_norm takes five times as long, nearly as long as one of the layer's two matrix products
    return x.square().sum(dim=1, keepdim=True).clamp_min(EPS**2).rsqrt()


class SoftResiduals(torch.autograd.Function):
    """apply(x, weight, bias, centres, mask) -> residual sums of each cluster (N, K, D): equation 4.

    x (N, D, L) raw local descriptors, weight (K, D), bias (K,) or None, centres (K, D). mask (N, 1, L) or None, 1 or 0:
    a location of 0 is assigned to no cluster. There are no second derivatives.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, centres: Tensor, mask: Tensor | None
    ) -> Tensor:
        inverse = inverse_norm(x)
        products = torch.matmul(weight, x).mul_(inverse)
        share = (products if bias is None else products + bias[:, None]).softmax(dim=1)
        counted = share if mask is None else share * mask
        weighted, mass = counted * inverse, counted.sum(dim=2, keepdim=True)
        ctx.save_for_backward(x, weight, centres, mask, inverse, products, share, weighted, mass)
        return torch.matmul(weighted, x.transpose(1, 2)).sub_(mass * centres)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, centres, mask, inverse, products, share, weighted, mass = ctx.saved_tensors
        of_x, of_weight, of_bias, of_centres, _ = ctx.needs_input_grad
        by_weighted = torch.matmul(gradient, x)
        by_share = by_weighted * inverse - (gradient * centres).sum(dim=2, keepdim=True)
        if mask is not None:
            by_share *= mask
        by_logit = share * (by_share - (share * by_share).sum(dim=1, keepdim=True))
        by_product = by_logit * inverse
        found: list[Tensor | None] = [None] * 5
        if of_x:
            # through the norms: d(1/|x|)/dx = -x / |x|^3, none where the norm is held at EPS
            by_norm = (by_weighted * weighted + by_logit * products).sum(dim=1, keepdim=True)
            scale = torch.where(inverse < 0.99 / EPS, -by_norm * inverse.square(), 0)
            both = torch.cat([weight.expand(len(x), -1, -1), gradient], dim=1).transpose(1, 2)
            found[0] = torch.matmul(both, torch.cat([by_product, weighted], dim=1)).addcmul_(x, scale)
        if of_weight:
            found[1] = torch.matmul(by_product, x.transpose(1, 2)).sum(dim=0)
        if of_bias:
            found[2] = by_logit.sum(dim=(0, 2))
        if of_centres:
            found[3] = -(mass * gradient).sum(dim=0)
        return tuple(found)
