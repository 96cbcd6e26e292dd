"""Describers that others publish through torch.hub: their code and weights behind this package's interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.base import BaseDescriber, arrays_of, same_size
from netvlad.describe.device import network_device
from netvlad.describe.names import LONGEST_SIDE
from netvlad.errors import ModelError
from netvlad.images.read import read_image
from netvlad.pretrained.catalogue import HUBS, IMAGENET, Hub
from netvlad.pretrained.hub_code import load_hub_network
from netvlad.registry import register_artifact
from netvlad.runtime.artifacts import digest
from netvlad.types import Array, FloatArray, ImageLike

if TYPE_CHECKING:
    from typing_extensions import Self

    from netvlad.runtime.artifacts import Card


@register_artifact("hub")
class HubDescriber(BaseDescriber):
    """A describer by a network of torch.hub.

    name: of `HUBS`, perhaps with ":REF". A saved one is a reference: the network's own weights stay where torch.hub has
    them, and are refused when they are not those that it was saved with. A whitening may be fitted on top.
    """

    kind = "hub"
    takes_masks = False

    def __init__(self, name: str, network: nn.Module, *, resize: int | None = LONGEST_SIDE) -> None:
        super().__init__(name, resize)
        self.spec: Hub = HUBS[name.partition(":")[0]]
        self._device = torch.device(network_device())
        # in a list, so that it is no submodule and `save` leaves it out
        self.network = [network.eval().to(self._device)]
        self._digest = ""

    @property
    def pooled_dim(self) -> int:
        return self.spec.dim

    @property
    def device(self) -> torch.device:
        return self._device

    @torch.inference_mode()
    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images of any sizes: (N, dim) float32. Raises ImageError, ModelError."""
        out = np.empty((len(images), self.dim), dtype=np.float32)
        prepared = [self.prepare(read_image(image, resize=self.resize)) for image in images]
        for rows in same_size([tuple(x.shape[1:]) for x in prepared], self.device):
            out[rows] = self(torch.stack([prepared[row] for row in rows])).cpu().numpy()
        return out

    def prepare(self, image: Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (3, H', W') float32 as the network expects it."""
        x = torch.tensor(image, device=self.device).permute(2, 0, 1)[None].float() / 255
        multiple = self.spec.multiple
        size = self.spec.input_size or tuple(max(1, round(s / multiple)) * multiple for s in x.shape[-2:])
        if tuple(x.shape[-2:]) != tuple(size):
            x = F.interpolate(x, size, mode=self.spec.interpolation, antialias=True, align_corners=False)
        mean, std = (torch.tensor(values, device=x.device).view(3, 1, 1) for values in IMAGENET)
        return ((x - mean) / std)[0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) as `prepare` makes it -> (N, dim)."""
        found = self.network[0](x)
        found = found[0] if isinstance(found, tuple | list) else found  # BoQ also returns its attention
        if found.shape != (len(x), self.spec.dim):
            got = tuple(found.shape)
            raise ModelError(f"{self.name}: its network made {got} of {len(x)} photos, not {(len(x), self.spec.dim)}")
        found = F.normalize(found.float(), dim=1)
        return self.whitening(found) if self.whitening else found

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def provenance(self) -> dict[str, Any] | None:
        return {"source": self.spec.page, "url": self.spec.weights, "licence": self.spec.licence}

    @property
    def architecture(self) -> dict[str, Any]:
        self._digest = self._digest or digest({}, arrays_of(self.network[0]))
        return {
            "hub": self.name,
            "network": self._digest,
            "size": list(self.spec.input_size or ()),
            "resize": self.resize,
            "whitening": self.whitening.card if self.whitening else None,
        }

    @staticmethod
    def repository(card: Card) -> str:
        """The repository whose code a saved model runs."""
        architecture = card.get("architecture")
        name = str(architecture.get("hub")) if isinstance(architecture, dict) else "?"
        spec = HUBS.get(name.partition(":")[0])
        return spec.page if spec else repr(name)

    @classmethod
    def _check(cls, architecture: dict[str, Any], folder: str | os.PathLike[str]) -> None:
        if architecture["hub"].partition(":")[0] not in HUBS:
            known = f"this version knows {', '.join(HUBS)}"
            raise ModelError(f"was made by {architecture['hub']!r}; {known}", path=folder)

    @classmethod
    def _build(cls, card: Card, folder: str | os.PathLike[str]) -> Self:
        arch = card["architecture"]
        model = cls(arch["hub"], load_hub_network(arch["hub"]), resize=arch["resize"])
        if model.architecture["network"] != arch["network"]:
            raise ModelError(
                f"was made with other weights of {arch['hub']} than torch.hub has now; get those back, or describe the "
                "photos anew",
                path=folder,
            )
        return model


def load_hub(name: str, *, resize: int | None = LONGEST_SIDE) -> HubDescriber:
    """The model called `name` in `HUBS`; "NAME:REF" takes a branch or tag of its repository.

    Raises ModelError as `load_hub_network`.
    """
    return HubDescriber(name, load_hub_network(name), resize=resize)
