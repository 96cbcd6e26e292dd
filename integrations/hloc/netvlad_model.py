"""Any model of netvlad as a global feature of hloc. Copy this file into hloc/extractors/, and then:

    conf = {
        "output": "global-feats-netvlad-model",
        "model": {"name": "netvlad_model", "model": "default-model/"},
        "preprocessing": {"resize_max": 640},
    }
    hloc.extract_features.main(conf, images, outputs)

Tested against a stand-in of hloc's loader. For photos that are in a map already, `netvlad export --to hloc` writes the
same file without describing anything again.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

import netvlad

from ..utils.base_model import BaseModel


class NetvladModel(BaseModel):
    """model: whatever `netvlad.load` takes and needs no fit any more."""

    default_conf: ClassVar = {"model": None}
    required_inputs: ClassVar = ["image"]

    def _init(self, conf: dict[str, Any]) -> None:
        if not conf["model"]:
            raise ValueError("the configuration names no model: give model, as a folder that `netvlad fit` wrote")
        self.describer = netvlad.load(conf["model"])

    def _forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """data["image"]: (1, 3, H, W) float RGB of 0 to 1. Returns global_descriptor (1, dim)."""
        pixels = data["image"].mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        vectors = self.describer.describe([np.ascontiguousarray(image) for image in pixels])
        return {"global_descriptor": torch.from_numpy(vectors).to(data["image"].device)}
