"""AlexNet, the paper's smaller backbone: torchvision's, as timm has none, with the methods that `Backbone` calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class AlexNet(nn.Module):
    """torchvision's AlexNet features; conv5 is `features.10`, its ReLU `features.11`."""

    def __init__(self) -> None:
        from torchvision.models import alexnet

        super().__init__()
        self.smallest = 31  # pixels a side; below, conv1 and two poolings without padding leave nothing
        self.features = alexnet(weights=None).features
        self.feature_info: list[dict[str, Any]] = [
            {"module": "features.1", "num_chs": 64, "reduction": 4},
            {"module": "features.4", "num_chs": 192, "reduction": 8},
            {"module": "features.7", "num_chs": 384, "reduction": 16},
            {"module": "features.9", "num_chs": 256, "reduction": 16},
            {"module": "features.11", "num_chs": 256, "reduction": 16},
        ]
        self.pretrained_cfg: dict[str, Any] = {
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "url": "torchvision AlexNet_Weights.IMAGENET1K_V1",
            "license": "bsd-3-clause",
        }

    def download(self) -> None:
        """Load torchvision's weights."""
        from torchvision.models import AlexNet_Weights

        state = AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        self.load_state_dict({k: v for k, v in state.items() if k.startswith("features.")})

    def prune_intermediate_layers(self, indices: list[int], prune_norm: bool = False, prune_head: bool = True) -> None:
        last = int(self.feature_info[indices[-1]]["module"].split(".")[1])
        self.features = self.features[: last + 1]

    def forward_intermediates(self, x: Tensor, **_: object) -> list[Tensor]:
        return [self.features(x)]
