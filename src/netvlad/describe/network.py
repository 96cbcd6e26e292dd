"""The network describer: backbone, pooling, whitening; photos in, vectors out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netvlad.describe.backbone import Backbone
from netvlad.describe.folder import digest, fill, read_state, save_folder
from netvlad.describe.method import BACKBONES, POOLINGS, is_trained
from netvlad.describe.pooling import defined_locations, make_pooling, pooled_dim
from netvlad.describe.whitening import Whitened, Whitening, make_whitening
from netvlad.images.read import read_image
from netvlad.types import Method

# one forward pass takes as many photos of a size as stay below this, so that VGG-16 at 640x480 fits a small machine
PIXELS_AT_ONCE = {"cpu": 1 << 21, "cuda": 1 << 24}
LONGEST_SIDE = 640  # Pittsburgh and Tokyo 24/7 cut-outs are 640x480


class NetworkDescriber(Whitened, nn.Module):
    """A describer: `describe(images) -> (N, dim)` float32, rows of unit length.

    pooling: a name of `pooling.POOLINGS`; clusters: centres of the VLAD poolings; resize: the longest side a photo is
    scaled down to (None: never); whitening: fitted PCA or None; `local`: what fixed cameras say of the local
    descriptors (`within.fit_local`), or None. `ready` is False while centres are missing.
    Undefined pixels of a photo (alpha 0) are left out: no vector depends on what colour lies under them.
    """

    takes_masks = True

    def __init__(
        self,
        backbone: Backbone,
        pooling: str,
        *,
        clusters: int = 64,
        resize: int | None = LONGEST_SIDE,
        whitening: Whitening | None = None,
        name: str | None = None,
    ):
        super().__init__()
        self.backbone = backbone
        self.pooling_name = pooling
        self.clusters = clusters
        self.pooling = make_pooling(pooling, backbone.dim, clusters)
        self.whitening = whitening
        self.local: nn.Module | None = None
        self.resize = resize
        self.name = name or f"{backbone.name}-{pooling}"
        self.fitted_on: dict = {}
        self.eval()
        self.to("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def dim(self) -> int:
        return self.whitening.dim if self.whitening else pooled_dim(self.pooling_name, self.backbone.dim, self.clusters)

    @property
    def ready(self) -> bool:
        return getattr(self.pooling, "ready", True)

    @property
    def smallest(self) -> int:
        """The least side of a photo, in pixels."""
        return self.backbone.smallest

    @property
    def device(self) -> torch.device:
        return next(self.backbone.parameters()).device

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) float as `prepare` makes it, or (N, 4, H, W) with a mask -> (N, dim)."""
        x = self.pooling(*self.maps(x))
        return self.whitening(x) if self.whitening else x

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of what `forward` takes: the backbone's maps (N, D, H', W'), and the mask (N, 1, H', W') or None for pooling."""
        maps = self.adjusted(self.backbone(x[:, :3]))
        return maps, defined_locations(x[:, 3:], maps.shape[-2:]) if x.shape[1] == 4 else None

    def adjusted(self, maps: Tensor) -> Tensor:
        """The backbone's maps as the pooling takes them."""
        return self.local.of_maps(maps) if self.local else maps

    def prepare(self, images: np.ndarray) -> Tensor:
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
    def describe(self, images: Sequence) -> np.ndarray:
        """Vectors of `images`: anything `read_image` takes, of any sizes, with alpha. Raises ImageError, ModelError."""
        out = np.empty((len(images), self.dim), dtype=np.float32)
        with evaluating(self):
            for rows, batch in self.batches(images):
                out[rows] = self(self.prepare(batch)).float().cpu().numpy()
        return out

    def batches(self, images: Sequence):
        """Groups of images of one size, small enough for one forward pass: (rows, (n, H, W, 3 or 4) uint8)."""
        arrays = [read_image(image, resize=self.resize, alpha=True) for image in images]
        sizes: dict[tuple, list[int]] = {}
        for row, array in enumerate(arrays):
            sizes.setdefault(array.shape, []).append(row)
        budget = PIXELS_AT_ONCE.get(self.device.type, PIXELS_AT_ONCE["cuda"])
        for (height, width, _), rows in sizes.items():
            step = max(1, budget // (height * width))
            for i in range(0, len(rows), step):
                part = rows[i : i + step]
                yield part, np.stack([arrays[row] for row in part])

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> dict:
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

    @property
    def method(self) -> Method | None:
        """What published results it compares with; None for poolings and normalisations that none of them has."""
        if self.pooling_name not in POOLINGS or self.local or not isinstance(self.whitening, Whitening | None):
            return None
        backbone = BACKBONES.get(self.backbone.name, self.backbone.name)
        whitened, trained = self.whitening is not None, is_trained(self.fitted_on)
        return Method(POOLINGS[self.pooling_name], backbone, self.dim, whitened, trained)

    @property
    def identity(self) -> str:
        """Hex digest of the architecture and every weight: two describers with one identity make the same vectors."""
        return digest(self.architecture, self.state_dict())

    def save(self, folder: str | os.PathLike) -> Path:
        """Write model.safetensors and card.json. Raises ModelError while centres are missing."""
        return save_folder(self, folder, kind="network", weights=self.backbone.provenance)

    @classmethod
    def load(cls, folder: Path, card: dict) -> NetworkDescriber:
        """Read what `save` wrote. Raises ModelError when tensors are missing, misshapen or not those of the card."""
        arch = card["architecture"]
        state = read_state(folder, card)
        backbone = Backbone(arch["trunk"], arch["stage"])
        backbone.crop()
        backbone.mean, backbone.std, backbone.provenance = tuple(arch["mean"]), tuple(arch["std"]), card["weights"]
        model = cls(backbone, arch["pooling"], clusters=arch["clusters"], resize=arch["resize"], name=card["name"])
        if "local" in arch:
            model.local = make_whitening(backbone.dim, arch["local"]).to(model.device)
        if arch["whitening"]:
            dim_in = pooled_dim(arch["pooling"], backbone.dim, arch["clusters"])
            model.whitening = make_whitening(dim_in, arch["whitening"]).to(model.device)
        fill(model, state, folder)
        model.fitted_on = card["fitted_on"]
        return model


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
