"""Losses on descriptors: the weakly supervised triplet ranking loss (paper, section 4, equation 7), and softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from netvlad.errors import NetvladError
from netvlad.registry import register_loss


class Diverged(NetvladError):
    """A loss, a gradient or a descriptor became NaN or infinite."""


@register_loss("ranking")
def ranking_loss(query: Tensor, positives: Tensor, negatives: Tensor, margin: float = 0.1) -> tuple[Tensor, int]:
    """L = sum_j max(0, min_i d2(q, p_i) + m - d2(q, n_j)), d2 the squared L2 distance, and the number of violating j.

    query (D,), positives (P, D), negatives (N, D). This is the plain sum: the gradient of a batch is divided once, by
    the number of its violating triplets.
    Raises Diverged where the loss is not finite.
    """
    nearest = (positives - query).square().sum(1).min()
    hinge = (nearest + margin - (negatives - query).square().sum(1)).clamp_min(0)
    loss = hinge.sum()
    if not torch.isfinite(loss):
        raise Diverged(f"the loss is {loss.item()}")
    return loss, int((hinge > 0).sum())


def softmax_loss(vectors: Tensor, positive: Tensor, negative: Tensor, temperature: float) -> tuple[Tensor, int]:
    """Mean over photos i of -log(e(i, p) / (e(i, p) + sum_n e(i, n))), and the number of photos in the mean.

    e(i, j) = exp(cosine(i, j) / temperature). p is the nearest potential positive, as in the ranking loss (equation 7);
    n are all definite negatives. Photos without one of the two in the batch are left out.
    vectors (n, D) of unit length; positive, negative (n, n) bool. Raises Diverged where the loss is not finite.
    """
    cosines = vectors @ vectors.T / temperature
    asked = positive.any(1) & negative.any(1)
    if not asked.any():
        return vectors.sum() * 0, 0
    nearest = cosines.masked_fill(~positive, -torch.inf)[asked].amax(1)
    others = cosines.masked_fill(~negative, -torch.inf)[asked].logsumexp(1)
    loss = torch.nn.functional.softplus(others - nearest).mean()
    if not torch.isfinite(loss):
        raise Diverged(f"the loss is {loss.item()}")
    return loss, int(asked.sum())
