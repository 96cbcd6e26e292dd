"""DenseVLAD: dense RootSIFT + VLAD + whitening (Torii et al., CVPR 2015), the paper's RootSIFT baseline.

It needs no network: only 128 cluster centres, the authors' own or fitted ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csc_array
from typing_extensions import Self

from netvlad.describe.base import BaseDescriber
from netvlad.describe.dense_vlad_parts import vlad_parts
from netvlad.describe.names import DENSE_VLAD as NAME
from netvlad.describe.names import DENSE_VLAD_2015 as AS_PUBLISHED
from netvlad.describe.names import LONGEST_SIDE
from netvlad.describe.soft_residuals import EPS
from netvlad.describe.vlad import VLAD
from netvlad.describe.wccn import WCCN
from netvlad.describe.weight_files import CENTRES
from netvlad.describe.whitening import Whitening
from netvlad.errors import ModelError
from netvlad.features import dense_sift
from netvlad.features.dense_sift import DIM
from netvlad.images.read import read_image
from netvlad.registry import register_artifact
from netvlad.runtime.artifacts import Card
from netvlad.runtime.files import sha256
from netvlad.runtime.threads import one_thread
from netvlad.runtime.weights_folders import find_file
from netvlad.types import Array, FloatArray, ImageLike, Method, Parts

CLUSTERS = 128


@register_artifact("densevlad")
class DenseVLAD(BaseDescriber):
    """A describer by dense RootSIFT and VLAD.

    clusters: number of centres; resize: longest side in pixels that photos are scaled down to, None leaves them as they
    are; intra: L2-normalise each cluster's residuals (Arandjelovic and Zisserman 2013); rounded: SIFT in bytes before
    the root, as in the authors' code. provenance: source of centres
    that were given, None where they are fitted. `ready` is False while centres are missing. Local features that overlap
    an undefined pixel (alpha 0) are left out.

    A photo in which no point has contrast (black, of one colour, below 22 pixels a side, undefined) has no direction to
    normalise: its vector is 1 / sqrt(dim) throughout, as far from everything as any other.
    """

    kind = "densevlad"
    provenance: dict[str, Any] | None = None
    smallest: int = dense_sift.SMALLEST

    def __init__(
        self,
        *,
        clusters: int = CLUSTERS,
        resize: int | None = LONGEST_SIDE,
        intra: bool = True,
        whitening: Whitening | WCCN | None = None,
        name: str = NAME,
        rounded: bool = False,
    ) -> None:
        super().__init__(name, resize, whitening)
        self.clusters = clusters
        self.pooling = VLAD(DIM, clusters)  # holds the centres; features come in blocks, not as a map
        self.intra, self.rounded = intra, rounded
        self.eval()

    @property
    def pooled_dim(self) -> int:
        return self.clusters * DIM

    @property
    def device(self) -> torch.device:
        return self.pooling.centres.device

    @property
    def method(self) -> Method | None:
        """Key of published results to compare with; None when fixed cameras normalise its vectors."""
        if not isinstance(self.whitening, Whitening | None):
            return None
        return Method("VLAD", "RootSIFT", self.dim, self.whitening is not None, False)

    @torch.inference_mode()
    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images of any sizes, with alpha or without: (N, dim) float32. Raises ImageError, ModelError."""
        self._check_ready()
        centres = self.pooling.centres.cpu().numpy()
        out = np.zeros((len(images), self.pooled_dim), dtype=np.float32)
        with one_thread():  # a product for each block of 2,048 points
            for row, image in enumerate(images):
                out[row] = vlad(self._blocks(image), centres, self.intra)
        featureless = ~out.any(axis=1)
        if self.whitening:
            out = self.whitening(torch.from_numpy(out).to(self.device)).cpu().numpy()
        out[featureless] = self.dim**-0.5
        return out

    def _check_ready(self) -> None:
        if not self.ready:
            raise ModelError(f"{self.name} has no cluster centres yet: fit them on photos (`netvlad fit`)")

    def _blocks(self, image: ImageLike) -> Iterator[FloatArray]:
        """Yield RootSIFT descriptors of a photo, (n, 128) float32."""
        read = read_image(image, resize=self.resize, alpha=True)
        for block in dense_sift.dense_sift(read, rounded=self.rounded):
            yield block.descriptors

    @property
    def separable(self) -> bool:
        return True

    def parts(self, image: ImageLike) -> Parts:
        """Take the VLAD of an image apart. Raises ImageError, ModelError.

        Its locations are the cells of a grid. A photo without contrast has parts of zeros.
        """
        self._check_ready()
        read = read_image(image, resize=self.resize, alpha=True)
        with one_thread():
            features = dense_sift.dense_sift(read, rounded=self.rounded)
            return vlad_parts(features, read.shape, self.pooling.centres.cpu().numpy(), self.intra)

    # -- fitting ------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.pooling.ready

    @property
    def needs_centres(self) -> bool:
        return self.provenance is None

    def set_centres(self, centres: FloatArray, descriptors: FloatArray) -> None:
        self.pooling.initialise(centres, descriptors)

    def local_descriptors(self, images: Sequence[ImageLike]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the row of each image and its RootSIFT descriptors, (n, 128) float32; n may be 0."""
        for row, image in enumerate(images):
            yield row, np.concatenate([np.zeros((0, DIM), np.float32), *self._blocks(image)])

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def architecture(self) -> dict[str, Any]:
        return {
            **_local(self.rounded),
            "clusters": self.clusters,
            "intra": self.intra,
            "resize": self.resize,
            "whitening": self.whitening.card if self.whitening else None,
        }

    @classmethod
    def _check(cls, architecture: dict[str, Any], folder: str | os.PathLike[str]) -> None:
        known = [_local(rounded) for rounded in (False, True)]
        local = {key: architecture[key] for key in known[0]}
        if local not in known:
            raise ModelError(f"was made with local features {local}; this version has {known}", path=folder)

    @classmethod
    def _build(cls, card: Card, folder: str | os.PathLike[str]) -> Self:
        arch = card["architecture"]
        model = cls(
            clusters=arch["clusters"],
            resize=arch["resize"],
            intra=arch["intra"],
            name=card["name"],
            rounded=arch["descriptor"] == _local(True)["descriptor"],
        )
        model.provenance = card["weights"]
        return model


def vlad(blocks: Iterable[FloatArray], centres: FloatArray, intra: bool = True) -> Array:
    """VLAD (Jegou et al. 2010) of descriptors that come in `blocks` (n, D) float32: (K * D,) float64.

    Of unit length, cluster by cluster; zeros where nothing is left to normalise. Each is assigned to the nearest of
    `centres` (K, D); residuals are summed block by block in double precision.
    """
    across, half = np.ascontiguousarray(centres.T), np.square(centres).sum(axis=1) / 2
    sums = np.zeros(centres.shape)
    for x in blocks:
        nearest = (x @ across - half).argmax(axis=1)
        # torch's index_add_ gives the same sums; its threads take up to a hundred times as long as one of them
        ends = np.arange(len(x) + 1)
        of_cluster = csc_array((np.ones(len(x), np.float32), nearest, ends), shape=(len(centres), len(x)))
        sums += of_cluster @ x - np.bincount(nearest, minlength=len(centres))[:, None] * centres.astype(np.float64)
    if intra:
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), EPS)
    return (sums / max(float(np.linalg.norm(sums)), EPS)).ravel()


def load_dense_vlad(name: str = NAME, *, clusters: int | None = None, resize: int | None = LONGEST_SIDE) -> DenseVLAD:
    """DenseVLAD with the authors' 128 centres if $NETVLAD_WEIGHTS has them and no other number is asked for.

    name: `NAME` or `AS_PUBLISHED`, whose vectors are nearer to those of the authors' code (cosine 0.994, not 0.974).
    The rest are its points without contrast, vectors of zeros that a tie assigns to one centre; they are left out here.
    Otherwise without centres: fit it, or let an index fit it. Raises ModelError where the file is another.
    """
    model = DenseVLAD(clusters=clusters or CLUSTERS, resize=resize, name=name, rounded=name == AS_PUBLISHED)
    file = find_file([CENTRES])
    if file and model.clusters == CLUSTERS:
        model.pooling.initialise(read_centres(file))
        model.provenance = {"file": file.name, "sha256": sha256(file)}
    return model


def read_centres(file: Path) -> FloatArray:
    """(128, 128) float32, rows of unit length, as the authors' code uses them. Raises ModelError for anything else.

    Their numbers are in the order of `dense_sift`, which is VLFeat's: of all permutations of rows, columns and
    directions this one brings real descriptors nearest to them, as near as its mirror image does.
    """
    try:
        centres: FloatArray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise ModelError(f"cannot be read ({e})", path=file) from e
    if centres.shape != (CLUSTERS, DIM) or centres.dtype != np.float32:
        raise ModelError(f"must hold {CLUSTERS}x{DIM} float32, got {centres.shape} {centres.dtype}", path=file)
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise ModelError("holds cluster centres that are zero, infinite or NaN", path=file)
    centres /= lengths
    return centres


def _local(rounded: bool) -> dict[str, Any]:
    """Everything that the local features depend on."""
    descriptor = "dense RootSIFT of bytes" if rounded else "dense RootSIFT"
    return {"descriptor": descriptor, "bin_sizes": list(dense_sift.BIN_SIZES), "step": dense_sift.STEP}
