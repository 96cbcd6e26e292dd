"""DenseVLAD: dense RootSIFT + VLAD + whitening (Torii et al., CVPR 2015), the paper's RootSIFT baseline.

It needs no network: only 128 cluster centres, the authors' own or fitted ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netvlad.describe.folder import digest, fill, read_state, save_folder
from netvlad.describe.network import LONGEST_SIDE
from netvlad.describe.vlad import EPS, VLAD
from netvlad.describe.weights import folders
from netvlad.describe.whitening import Whitened, Whitening, make_whitening
from netvlad.errors import ModelError
from netvlad.features import dense_sift
from netvlad.features.dense_sift import DIM
from netvlad.images.read import read_image
from netvlad.runtime.files import sha256
from netvlad.types import Method

CLUSTERS = 128
CENTRES = "densevlad_rootsift_k128_centres.npy"  # the authors', in a folder of $NETVLAD_WEIGHTS


class DenseVLAD(Whitened, nn.Module):
    """A describer: `describe(images) -> (N, dim)` float32, rows of unit length.

    clusters: cluster centres; resize: the longest side a photo is scaled down to (None: never); intra: L2-normalise
    each cluster's residuals (Arandjelovic and Zisserman 2013); whitening: fitted PCA or None. `ready` is False while
    centres are missing. Local features that an undefined pixel of a photo (alpha 0) has part in are left out.

    A photo in which no point has contrast (black, all of one colour, below 22 pixels a side, undefined) has no
    direction to normalise: it gets the vector whose numbers are all 1 / sqrt(dim), as far from everything as any other.
    """

    takes_masks = True
    smallest = dense_sift.SMALLEST  # the least side of a photo, in pixels, that has any points

    def __init__(
        self,
        *,
        clusters: int = CLUSTERS,
        resize: int | None = LONGEST_SIDE,
        intra: bool = True,
        whitening: Whitening | None = None,
        name: str = "densevlad",
    ):
        super().__init__()
        self.clusters = clusters
        self.pooling = VLAD(DIM, clusters)  # holds the centres; a photo's features come in blocks, not as its map
        self.whitening = whitening
        self.resize = resize
        self.intra = intra
        self.name = name
        self.provenance: dict | None = None  # of centres that were given; None where fitted
        self.fitted_on: dict = {}
        self.eval()

    @property
    def dim(self) -> int:
        return self.whitening.dim if self.whitening else self.clusters * DIM

    @property
    def ready(self) -> bool:
        return self.pooling.ready

    @property
    def centres_given(self) -> bool:
        """Whether the centres are a file's, which `fit` leaves as they are."""
        return self.provenance is not None

    @property
    def device(self) -> torch.device:
        return self.pooling.centres.device

    @torch.inference_mode()
    def describe(self, images: Sequence) -> np.ndarray:
        """Vectors of `images`: anything `read_image` takes, of any sizes, with alpha. Raises ImageError, ModelError."""
        if not self.ready:
            raise ModelError(f"{self.name} has no cluster centres yet: fit them on photos (`netvlad fit`)")
        centres = self.pooling.centres.cpu().numpy()
        out = np.zeros((len(images), self.clusters * DIM), dtype=np.float32)
        for row, image in enumerate(images):
            blocks = dense_sift.dense_sift(self._read(image))
            out[row] = vlad((found.descriptors for found in blocks), centres, self.intra)
        featureless = ~out.any(axis=1)
        if self.whitening:
            out = self.whitening(torch.from_numpy(out).to(self.device)).cpu().numpy()
        out[featureless] = self.dim**-0.5
        return out

    def local_descriptors(self, images: Sequence) -> Iterator[tuple[int, np.ndarray]]:
        """Of each of `images` its row and its RootSIFT descriptors, (n, 128) float32; n may be 0."""
        for row, image in enumerate(images):
            found = [block.descriptors for block in dense_sift.dense_sift(self._read(image))]
            yield row, np.concatenate([np.zeros((0, DIM), np.float32), *found])

    def _read(self, image) -> np.ndarray:
        return read_image(image, resize=self.resize, alpha=True)

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> dict:
        return {
            **_local(),
            "clusters": self.clusters,
            "intra": self.intra,
            "resize": self.resize,
            "whitening": self.whitening.card if self.whitening else None,
        }

    @property
    def method(self) -> Method | None:
        """What published results it compares with; None when fixed cameras normalise its vectors."""
        if not isinstance(self.whitening, Whitening | None):
            return None
        return Method("VLAD", "RootSIFT", self.dim, self.whitening is not None, False)

    @property
    def identity(self) -> str:
        """Hex digest of the architecture and every weight: two describers with one identity make the same vectors."""
        return digest(self.architecture, self.state_dict())

    def save(self, folder: str | os.PathLike) -> Path:
        """Write model.safetensors and card.json. Raises ModelError while centres are missing."""
        return save_folder(self, folder, kind="densevlad", weights=self.provenance)

    @classmethod
    def load(cls, folder: Path, card: dict) -> DenseVLAD:
        """Read what `save` wrote. Raises ModelError when tensors are missing, misshapen or not those of the card."""
        arch = card["architecture"]
        state = read_state(folder, card)
        local = {key: arch[key] for key in _local()}
        if local != _local():
            raise ModelError(f"{folder}: was made with local features {local}; this version has {_local()}")
        model = cls(clusters=arch["clusters"], resize=arch["resize"], intra=arch["intra"], name=card["name"])
        if arch["whitening"]:
            model.whitening = make_whitening(arch["clusters"] * DIM, arch["whitening"])
        fill(model, state, folder)
        model.provenance, model.fitted_on = card["weights"], card["fitted_on"]
        return model


def vlad(blocks: Iterator[np.ndarray], centres: np.ndarray, intra: bool = True) -> np.ndarray:
    """VLAD (Jegou et al. 2010) of descriptors that come in `blocks` (n, D) float32: (K * D,) float64.

    Of unit length, cluster by cluster; zeros where nothing is left to normalise. Each is assigned to the nearest of
    `centres` (K, D); residuals are summed block by block in double precision.
    """
    across, half = np.ascontiguousarray(centres.T), np.square(centres).sum(axis=1) / 2
    sums = np.zeros(centres.shape)
    for x in blocks:
        nearest = (x @ across - half).argmax(axis=1)
        part = torch.zeros(centres.shape).index_add_(0, torch.from_numpy(nearest), torch.from_numpy(x))
        sums += part.numpy() - np.bincount(nearest, minlength=len(centres))[:, None] * centres.astype(np.float64)
    if intra:
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), EPS)
    return (sums / max(np.linalg.norm(sums), EPS)).ravel()


def load_dense_vlad(*, clusters: int | None = None, resize: int | None = LONGEST_SIDE) -> DenseVLAD:
    """DenseVLAD with the authors' 128 centres if $NETVLAD_WEIGHTS has them and no other number is asked for.

    Otherwise without centres: fit it, or let an index fit it. Raises ModelError where the file is another.
    """
    model = DenseVLAD(clusters=clusters or CLUSTERS, resize=resize)
    file = find_centres()
    if file and model.clusters == CLUSTERS:
        model.pooling.initialise(read_centres(file), None)
        model.provenance = {"file": file.name, "sha256": sha256(file)}
    return model


def find_centres() -> Path | None:
    """The file of the authors' centres in a folder of $NETVLAD_WEIGHTS."""
    return next((folder / CENTRES for folder in folders() if (folder / CENTRES).is_file()), None)


def read_centres(file: Path) -> np.ndarray:
    """(128, 128) float32, rows of unit length, as the authors' code uses them. Raises ModelError for anything else.

    Their numbers are in the order of `dense_sift`, which is VLFeat's: of all permutations of rows, columns and
    directions this one brings real descriptors nearest to them, as near as its mirror image does.
    """
    try:
        centres = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise ModelError(f"{file}: cannot be read ({e})") from e
    if centres.shape != (CLUSTERS, DIM) or centres.dtype != np.float32:
        raise ModelError(f"{file}: must hold {CLUSTERS}x{DIM} float32, got {centres.shape} {centres.dtype}")
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise ModelError(f"{file}: holds cluster centres that are zero, infinite or NaN")
    return centres / lengths


def _local() -> dict:
    """What the local features depend on."""
    return {"descriptor": "dense RootSIFT", "bin_sizes": list(dense_sift.BIN_SIZES), "step": dense_sift.STEP}
