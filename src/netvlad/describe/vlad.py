"""The VLAD family: one place for the aggregation, the soft assignment and its two initialisations.

NetVLAD (Arandjelovic et al., CVPR 2016, section 3.1), in closed form. With X the D x L matrix of L2-normalised local
descriptors and A the K x L matrix of their assignments, equation 4 is

    V = A X^T - diag(A 1) C

two matrix products; no residual of a location to a centre is ever stored (`soft_residuals`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.parts import cluster_parts
from netvlad.describe.soft_residuals import EPS, SoftResiduals, inverse_norm
from netvlad.errors import ModelError
from netvlad.types import FloatArray, Parts


def aggregate(assignment: Tensor, x: Tensor, inverse: Tensor, centres: Tensor, mask: Tensor | None = None) -> Tensor:
    """Residual sums of each cluster (N, K, D): equation 4.

    assignment (N, K, L), x (N, D, L) raw local descriptors, inverse (N, 1, L) = 1 / |x|, centres (K, D).
    mask (N, 1, H, W), 1 or 0: a location of 0 is assigned to no cluster, which leaves it out of both products.
    The norms are folded into the assignment, which is 8 times smaller than x: x is never copied.
    """
    if mask is not None:
        assignment = assignment * mask.flatten(2)
    weighted = torch.matmul(assignment * inverse, x.transpose(1, 2))
    return weighted - assignment.sum(-1, keepdim=True) * centres


def normalise(residuals: Tensor) -> Tensor:
    """Intra-normalise residual sums (N, K, D) and L2-normalise the whole (section 3.1): (N, K * D)."""
    intra = F.normalize(residuals, dim=2, eps=EPS)
    return F.normalize(intra.flatten(1), dim=1, eps=EPS)


def locations(x: Tensor) -> Tensor:
    """A feature map (N, D, H, W) as local descriptors (N, D, H * W).

    Half-precision maps are converted to float32, since a residual is a small difference of large sums.
    """
    x = x.flatten(2)
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class Pooling(nn.Module):
    """Base of poolings. A pooling of another package needs `dim` and `forward`, but not this base."""

    dim: int  # length of its vectors


class NetVLAD(Pooling):
    """The NetVLAD layer: (N, D, H, W), and a mask (N, 1, H, W) or None -> (N, K * D), rows of unit length.

    Soft assignment a = softmax_k(w_k . x + b_k) over L2-normalised x; w, b and the centres c are independent
    parameters (equation 4). version 1, of all the paper's experiments, has no b; version 2 is
    equation 4 as printed. Until `initialise` or a checkpoint has set it, the layer refuses to run.
    """

    bias: Tensor | None

    def __init__(self, channels: int, clusters: int = 64, version: int = 1) -> None:
        super().__init__()
        if version not in (1, 2):
            raise ModelError(f"NetVLAD version {version!r} does not exist; choose 1 or 2")
        self.version = version
        self.dim = channels * clusters
        unset = torch.full((clusters, channels), float("nan"))
        self.weight = nn.Parameter(unset.clone())
        self.centres = nn.Parameter(unset)
        self.bias = nn.Parameter(torch.zeros(clusters)) if version == 2 else None
        self.ready = False
        self.register_load_state_dict_post_hook(_check_ready)  # type: ignore[no-untyped-call]  # of torch

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self.ready:
            raise ModelError(
                "the NetVLAD layer has no cluster centres yet: fit them on photos (`netvlad fit`, or "
                "netvlad.fit(model, paths)) or load a fitted model"
            )
        with torch.autocast(x.device.type, enabled=False):
            return self.normalise(self.residuals(locations(x), mask))

    def residuals(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Residual sums (N, K, D) of local descriptors (N, D, L), float32 or float64, and a mask (N, 1, H, W)."""
        flat = None if mask is None else mask.flatten(2)
        found: Tensor = SoftResiduals.apply(x, self.weight, self.bias, self.centres, flat)
        return found

    def assignment(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """How much of each location of (N, D, L) counts for each cluster, (N, K, L); none of what a mask leaves out."""
        products = torch.matmul(self.weight, x) * inverse_norm(x)
        share = (products if self.bias is None else products + self.bias[:, None]).softmax(dim=1)
        return share if mask is None else share * mask.flatten(2)

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """The vector of one map (1, D, H, W) as a sum over its locations."""
        return cluster_parts(x, mask, self.assignment(locations(x), mask), self.centres, self.normalise)

    def normalise(self, residuals: Tensor) -> Tensor:
        """Residual sums (N, K, D) -> (N, K * D), rows of unit length."""
        return normalise(residuals)

    @torch.no_grad()
    def initialise(self, centres: FloatArray, descriptors: FloatArray) -> None:
        """Set w, b, c from k-means `centres` (K, D) and the L2-normalised `descriptors` (n, D) they came from."""
        c, x = (torch.as_tensor(array, dtype=torch.float64) for array in (centres, descriptors))
        weight, bias = (initialise_v1 if self.version == 1 else initialise_v2)(c, x)
        self.weight.copy_(weight)
        self.centres.copy_(c)
        if self.bias is not None:
            self.bias.copy_(bias)
        self.ready = True


class VLAD(Pooling):
    """VLAD with hard assignment to the nearest centre (Jegou et al. 2010) and intra-normalisation.

    (N, D, H, W), and a mask (N, 1, H, W) or None -> (N, K * D), rows of unit length.
    """

    centres: Tensor

    def __init__(self, channels: int, clusters: int = 64) -> None:
        super().__init__()
        self.dim = channels * clusters
        self.register_buffer("centres", torch.full((clusters, channels), float("nan")))
        self.ready = False
        self.register_load_state_dict_post_hook(_check_ready)  # type: ignore[no-untyped-call]  # of torch

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self.ready:
            raise ModelError("VLAD has no cluster centres yet: fit them on photos (`netvlad fit`)")
        with torch.autocast(x.device.type, enabled=False):
            x = locations(x)
            inverse = inverse_norm(x)
            return normalise(aggregate(self.assignment(x, inverse), x, inverse, self.centres, mask))

    def assignment(self, x: Tensor, inverse: Tensor) -> Tensor:
        """(N, K, L): 1 for the nearest centre of each location of (N, D, L), else 0; inverse (N, 1, L) = 1 / |x|."""
        half = self.centres.square().sum(1, keepdim=True) / 2
        nearest = (torch.matmul(self.centres, x) * inverse - half).argmax(dim=1, keepdim=True)
        hard = torch.zeros(x.shape[0], len(half), x.shape[2], dtype=x.dtype, device=x.device)
        return hard.scatter_(1, nearest, 1.0)

    def parts(self, x: Tensor, mask: Tensor | None = None) -> Parts:
        """The vector of one map (1, D, H, W) as a sum over its locations."""
        flat = locations(x)
        assignment = self.assignment(flat, inverse_norm(flat))
        counted = assignment if mask is None else assignment * mask.flatten(2)
        return cluster_parts(x, mask, counted, self.centres, normalise)

    @torch.no_grad()
    def initialise(self, centres: FloatArray, descriptors: FloatArray | None = None) -> None:
        """Set the `centres` (K, D); the descriptors are not needed."""
        self.centres.copy_(torch.as_tensor(centres))
        self.ready = True


def initialise_v1(centres: Tensor, descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """The authors' `vladv1`: w_k = alpha c_k / |c_k|, b = 0.

    alpha makes the largest weight 100 times the second at the mean gap of the two largest cosines.
    """
    unit = F.normalize(centres, dim=1, eps=EPS)
    best = (descriptors @ unit.T).topk(2, dim=1).values
    alpha = _sharpness((best[:, 0] - best[:, 1]).mean())
    return alpha * unit, torch.zeros(len(centres), dtype=centres.dtype)


def initialise_v2(centres: Tensor, descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 4: w_k = 2 alpha c_k, b_k = -alpha |c_k|^2, alpha from the gap of the two smallest squared distances."""
    squares = centres.square().sum(1)
    distances = descriptors.square().sum(1, keepdim=True) - 2 * descriptors @ centres.T + squares
    best = distances.topk(2, dim=1, largest=False).values
    alpha = _sharpness((best[:, 1] - best[:, 0]).mean())
    return 2 * alpha * centres, -alpha * squares


def _sharpness(mean_gap: Tensor) -> Tensor:
    if not mean_gap > 1e-5:  # real gaps are near 0.1; faiss moves centres without descriptors apart by 1/1024
        raise ModelError("the cluster centres coincide: the descriptors they were fitted on are all alike")
    return -math.log(0.01) / mean_gap


def kmeans(descriptors: FloatArray, clusters: int, *, iterations: int = 100, seed: int = 0) -> FloatArray:
    """Cluster centres (K, D) float32 of `descriptors` (n, D), by faiss. Raises ModelError when n < K."""
    import faiss

    if clusters < 2:
        raise ModelError(f"{clusters} cluster centres make no assignment; choose at least 2")
    if len(descriptors) < clusters:
        raise ModelError(f"{clusters} cluster centres need as many local descriptors, got {len(descriptors)}")
    descriptors = np.ascontiguousarray(descriptors, dtype=np.float32)
    model = faiss.Kmeans(
        descriptors.shape[1],
        clusters,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,  # no warning, no cut: the sample is the caller's choice
        max_points_per_centroid=len(descriptors),
    )
    model.train(descriptors)
    centres: FloatArray | None = model.centroids
    assert centres is not None  # set by train
    return centres


def _check_ready(module: NetVLAD | VLAD, _incompatible: object) -> None:
    module.ready = bool(torch.isfinite(module.centres).all())
