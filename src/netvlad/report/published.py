"""Which published row speaks of a model, and how far a result is off it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BACKBONES = {
    "vgg16": "VGG-16",
    "vd16": "VGG-16",  # so the authors' own networks call it, and AlexNet caffe
    "alexnet": "AlexNet",
    "caffe": "AlexNet",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "vit_small_patch14_dinov2": "DINOv2-S",
    "vit_base_patch14_dinov2": "DINOv2-B",
}
POOLINGS = {"netvlad": "NetVLAD", "netvlad2": "NetVLAD", "vlad": "VLAD", "max": "max pooling", "avg": "avg pooling"}
HEADLINE = (1, 5, 10)  # the N that every paper of the field gives

Published = Mapping[str, Mapping[str, tuple[float, ...]]]


@dataclass(frozen=True)
class Method:
    """What published rows are told apart by. pooling and backbone as rows say them ("RootSIFT" is the backbone of DenseVLAD);
    dim: length of the vector."""

    pooling: str
    backbone: str
    dim: int
    whitened: bool
    trained: bool


def method_of(describer) -> Method | None:
    """What `describer` is; None for one that no row could speak of."""
    architecture = getattr(describer, "architecture", {})
    if "local" in architecture or isinstance(architecture.get("whitening"), dict):  # by fixed cameras
        return None
    trained = not {"training", "sessionID"}.isdisjoint(getattr(describer, "fitted_on", None) or {})
    whitened = bool(architecture.get("whitening"))
    if "trunk" not in architecture:
        known = getattr(describer, "name", "").startswith("densevlad")
        return Method("VLAD", "RootSIFT", describer.dim, whitened, False) if known else None
    backbone = architecture["trunk"]
    pooling = POOLINGS.get(architecture.get("pooling"))
    return Method(pooling, BACKBONES.get(backbone, backbone), describer.dim, whitened, trained) if pooling else None


def row_of(method: Method | None, published: Published) -> str | None:
    """The row of `published` that speaks of `method`; None where there is none.

    A row names backbone and pooling; "off the shelf" what was not trained (RootSIFT never is); "+ whitening" what is
    whitened, with the dimension where it says one.
    """
    return next((row for row in published if method and _speaks_of(row, method)), None)


def _speaks_of(row: str, method: Method) -> bool:
    if method.backbone not in row or not re.search(rf"(?<![A-Za-z]){re.escape(method.pooling)}\b", row):
        return False
    if ("whitening" in row) != method.whitened:
        return False
    dim = re.search(r"(\d+)-D", row)
    if dim and int(dim[1]) != method.dim:
        return False
    if method.backbone == "RootSIFT":
        return True
    return ("off the shelf" not in row) == method.trained


def compared(row: tuple[str, Mapping[str, tuple[float, ...]]] | None, found: Mapping[str, Sequence[float]]) -> dict:
    """What a report says of a method's published row: {} without one.

    row: (name, group -> percent); found: group -> shares 0..1 in the same order. "off": by how many percentage points
    each is off what was published.
    """
    if row is None:
        return {}
    name, numbers = row
    off = {
        group: [round(100 * share - at, 2) for share, at in zip(found[group], numbers[group], strict=False)]
        for group in numbers
        if group in found
    }
    return {"published": {"row": name, "percent": {g: list(n) for g, n in numbers.items()}, "off": off}}
