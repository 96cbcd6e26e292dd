"""How published results call backbones and poolings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BACKBONES = {
    "vgg16": "VGG-16",
    "vd16": "VGG-16",  # netID of the authors' own VGG-16
    "alexnet": "AlexNet",
    "caffe": "AlexNet",  # netID of the authors' own AlexNet
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "vit_small_patch14_dinov2": "DINOv2-S",
    "vit_base_patch14_dinov2": "DINOv2-B",
}
POOLINGS = {"netvlad": "NetVLAD", "netvlad2": "NetVLAD", "vlad": "VLAD", "max": "max pooling", "avg": "avg pooling"}
TRAINED = ("training", "sessionID")  # entries of `fitted_on` that training here, or by NetVLAD's authors, leaves


def is_trained(fitted_on: Mapping[str, Any]) -> bool:
    """Whether a model was trained, here or by NetVLAD's authors, rather than only fitted."""
    return any(key in fitted_on for key in TRAINED)
