"""What in two photos agrees, by whatever way the describer allows."""

from __future__ import annotations

from netvlad.explanation.exact import explain_exactly
from netvlad.explanation.occlusion import explain_by_occlusion
from netvlad.explanation.result import Explanation
from netvlad.types import Describer, ImageLike, Separable


def explain(model: Describer, query: ImageLike, match: ImageLike) -> Explanation:
    """Say what in two photos makes `model` find them similar.

    Exact for a describer whose vectors are sums over locations: a network with NetVLAD, VLAD, max, average or GeM
    pooling, whitened or not, and DenseVLAD. Any other is asked again with parts of each photo covered, which takes some
    200 forward passes. query, match: whatever `netvlad.read_image` takes. Raises ImageError, ModelError.
    """
    if isinstance(model, Separable) and model.separable:
        return explain_exactly(model, query, match)
    return explain_by_occlusion(model, query, match)
