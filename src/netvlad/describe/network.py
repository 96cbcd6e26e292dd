"""The network describer: backbone, pooling, whitening; photos in, vectors out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from netvlad.describe.backbone import Backbone
from netvlad.describe.base import BaseDescriber, same_size
from netvlad.describe.device import network_device
from netvlad.describe.method import BACKBONES, POOLINGS, is_trained
from netvlad.describe.names import LONGEST_SIDE
from netvlad.describe.pooling import CentredPooling, SeparablePooling, defined_locations, make_pooling
from netvlad.describe.vlad import Pooling
from netvlad.describe.wccn import WCCN
from netvlad.describe.whitening import Whitening
from netvlad.errors import ModelError
from netvlad.images.read import read_image
from netvlad.registry import register_artifact
from netvlad.runtime.artifacts import Card
from netvlad.types import Array, FloatArray, ImageLike, Method, Parts


@register_artifact("network")
class NetworkDescriber(BaseDescriber):
    """A describer by a backbone, a pooling and an optional whitening (paper, section 3).

    pooling: a name of `registry.poolings`; clusters: number of centres of the VLAD poolings; resize: longest side in
    pixels that photos are scaled down to, None leaves them as they are; `local`: the normalisation of local descriptors
    by fixed cameras (`wccn.fit_local`), or None. `ready` is False while centres are missing.
    Undefined pixels of a photo (alpha 0) are left out: no vector depends on the colours under them.
    """

    kind = "network"

    def __init__(
        self,
        backbone: Backbone,
        pooling: str,
        *,
        clusters: int = 64,
        resize: int | None = LONGEST_SIDE,
        whitening: Whitening | WCCN | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name or f"{backbone.name}-{pooling}", resize, whitening)
        self.backbone = backbone
        self.pooling_name = pooling
        self.clusters = clusters
        self.pooling: Pooling = make_pooling(pooling, backbone.dim, clusters)
        self.local: WCCN | None = None
        self.eval()
        self.to(network_device())

    @property
    def pooled_dim(self) -> int:
        return self.pooling.dim

    @property
    def smallest(self) -> int:
        """Least side of a photo in pixels."""
        return self.backbone.smallest

    @property
    def device(self) -> torch.device:
        return next(self.backbone.parameters()).device

    @property
    def method(self) -> Method | None:
        """Key of published results to compare with; None for poolings and normalisations that none of them has."""
        if self.pooling_name not in POOLINGS or self.local or not isinstance(self.whitening, Whitening | None):
            return None
        backbone = BACKBONES.get(self.backbone.name, self.backbone.name)
        whitened, trained = self.whitening is not None, is_trained(self.fitted_on)
        return Method(POOLINGS[self.pooling_name], backbone, self.dim, whitened, trained)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) float32 as `prepare` makes it, or (N, 4, H, W) with a mask -> (N, dim)."""
        pooled: Tensor = self.pooling(*self.maps(x))
        return self.whitening(pooled) if self.whitening else pooled

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Input of `forward` -> maps (N, D, H', W') and the mask (N, 1, H', W') or None, as the pooling takes them."""
        maps = self.adjusted(self.backbone(x[:, :3]))
        return maps, defined_locations(x[:, 3:], maps.shape[-2:]) if x.shape[1] == 4 else None

    def adjusted(self, maps: Tensor) -> Tensor:
        """Maps of the backbone, normalised by fixed cameras where there is a `local`."""
        return self.local.of_maps(maps) if self.local else maps

    def prepare(self, images: Array) -> Tensor:
        """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32 as the backbone's weights expect it.

        (N, H, W, 4), as `read_image` returns it with alpha, -> (N, 4, H, W): the fourth is 1 where defined, else 0.
        """
        x = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float()
        scale = 255 * torch.tensor(self.backbone.std, device=x.device).view(3, 1, 1)
        mean = 255 * torch.tensor(self.backbone.mean, device=x.device).view(3, 1, 1)
        x[:, :3].sub_(mean).div_(scale)
        x[:, 3:].div_(255)
        return x

    @torch.inference_mode()
    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images of any sizes, with alpha or without: (N, dim) float32. Raises ImageError, ModelError."""
        out = np.empty((len(images), self.dim), dtype=np.float32)
        with evaluating(self):
            for rows, batch in self.batches(images):
                out[rows] = self(self.prepare(batch)).float().cpu().numpy()
        return out

    def batches(self, images: Sequence[ImageLike]) -> Iterator[tuple[list[int], Array]]:
        """Yield groups of images of one size, few enough for one forward pass: rows, (n, H, W, 3 or 4) uint8."""
        arrays = [read_image(image, resize=self.resize, alpha=True) for image in images]
        for rows in same_size([array.shape for array in arrays], self.device):
            yield rows, np.stack([arrays[row] for row in rows])

    @property
    def separable(self) -> bool:
        return isinstance(self.pooling, SeparablePooling)

    @torch.inference_mode()
    def parts(self, image: ImageLike) -> Parts:
        """Take the pooled vector of an image apart. Raises ImageError, ModelError."""
        if not isinstance(self.pooling, SeparablePooling):
            return super().parts(image)
        with evaluating(self):
            ((_, batch),) = self.batches([image])
            maps, mask = self.maps(self.prepare(batch))
            pooled, found = self.pooling(maps, mask)[0].cpu().numpy(), self.pooling.parts(maps, mask)
        if not np.allclose(pooled, found.vector, atol=1e-4):
            raise ModelError(f"{self.name}: the parts of {self.pooling_name} do not add up to its vector")
        return found

    # -- fitting ------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return not isinstance(self.pooling, CentredPooling) or self.pooling.ready

    @property
    def needs_centres(self) -> bool:
        return isinstance(self.pooling, CentredPooling) and not is_trained(self.fitted_on)

    def set_centres(self, centres: FloatArray, descriptors: FloatArray) -> None:
        """Initialise the pooling. Raises ModelError where it has no cluster centres."""
        if not isinstance(self.pooling, CentredPooling):
            raise ModelError(f"{self.name}: {self.pooling_name} pooling has no cluster centres")
        self.pooling.initialise(centres, descriptors)

    @torch.inference_mode()
    def local_descriptors(self, images: Sequence[ImageLike]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the row of each image and its L2-normalised local descriptors (n, D), none of undefined parts."""
        with evaluating(self):
            for rows, batch in self.batches(images):
                maps, mask = self.maps(self.prepare(batch))
                found = torch.nn.functional.normalize(maps.flatten(2).float(), dim=1).cpu().numpy()
                kept = [slice(None)] * len(rows) if mask is None else mask.flatten(1).bool().cpu().numpy()
                for row, x, defined in zip(rows, found, kept, strict=True):
                    yield row, x[:, defined].T

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def provenance(self) -> dict[str, Any] | None:
        return self.backbone.provenance

    @property
    def architecture(self) -> dict[str, Any]:
        return {
            "trunk": self.backbone.name,
            "stage": self.backbone.stage,
            "pooling": self.pooling_name,
            "clusters": self.clusters,
            "resize": self.resize,
            "whitening": self.whitening.card if self.whitening else None,
            "mean": list(self.backbone.mean),
            "std": list(self.backbone.std),
            **({"local": self.local.card} if self.local else {}),
        }

    @classmethod
    def _build(cls, card: Card, folder: str | os.PathLike[str]) -> Self:
        arch = card["architecture"]
        backbone = cls._backbone(arch)
        backbone.provenance = card["weights"]
        model = cls(backbone, arch["pooling"], clusters=arch["clusters"], resize=arch["resize"], name=card["name"])
        if "local" in arch:
            model.local = WCCN(backbone.dim, arch["local"]["within"]).to(model.device)
        return model

    @classmethod
    def _backbone(cls, architecture: dict[str, Any]) -> Backbone:
        """The backbone of an architecture, its weights random."""
        backbone = Backbone(architecture["trunk"], architecture["stage"])
        backbone.crop()
        backbone.mean, backbone.std = tuple(architecture["mean"]), tuple(architecture["std"])
        return backbone


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while: in training, batch normalisation mixes a batch's photos and changes its weights."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
