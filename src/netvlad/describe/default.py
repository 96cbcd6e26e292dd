"""The model that comes along: NetVLAD on packaged weights, in 512 numbers, fitted to the photos of a map.

What is packaged with it is the normalisation of local descriptors by fixed cameras of a drawn town in every light,
weather and season (`tools/default_model.py` makes it): no real photo went into it.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import torch

from netvlad.describe.backbone import load_backbone
from netvlad.describe.names import DEFAULT as NAME
from netvlad.describe.names import DEFAULT_BACKBONE as BACKBONE
from netvlad.describe.names import DEFAULT_DIM as DIM
from netvlad.describe.names import LONGEST_SIDE
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.wccn import WCCN
from netvlad.errors import ModelError
from netvlad.runtime.artifacts import read_artifact

POOLING = "netvlad"
LOCAL = "local_normalisation"  # kind of the packaged artifact


class DefaultNetVLAD(NetworkDescriber):
    """EfficientNet-Lite0, normalisation by the town's cameras, NetVLAD, a projection to `compact`.

    compact: numbers of a vector, by default 512, or all there are where few clusters make fewer.
    `fit` learns the centres and the projection from the photos of a map, without labels; until then it cannot describe.
    A saved one is a `NetworkDescriber` like any other.
    """

    def __init__(self, compact: int | None = None, *, clusters: int = 64, resize: int | None = LONGEST_SIDE) -> None:
        backbone = load_backbone(BACKBONE, None)
        super().__init__(backbone, POOLING, clusters=clusters, resize=resize, name=NAME)
        compact = min(DIM, self.pooled_dim) if compact is None else compact
        if not 1 <= compact <= self.pooled_dim:
            raise ModelError(f"{NAME} has {self.pooled_dim} numbers before its projection: {compact} cannot be kept")
        self.compact = compact
        self.local = packaged_normalisation(backbone.dim).to(self.device)

    @property
    def ready(self) -> bool:
        return super().ready and self.whitening is not None

    @property
    def dim(self) -> int:
        """Length of a vector; before the first fit, the length that vectors will have."""
        return super().dim if super().ready else self.compact


def packaged_normalisation(dim: int) -> WCCN:
    """The packaged normalisation of local descriptors of length `dim`. Raises ModelError where it is damaged."""
    with as_file(files("netvlad.describe") / "packaged") as folder:
        arrays, _ = read_artifact(folder, kind=LOCAL, error=ModelError)
    local = WCCN(dim, len(arrays["gains"]))
    local.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    return local
