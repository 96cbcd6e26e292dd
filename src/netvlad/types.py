"""The contracts between rooms: what describes photos, what ranks them, and what a ranking is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# those of typing evaluate properties for isinstance before Python 3.12, and `identity` hashes all weights
from typing_extensions import Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL import Image

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]
ImageLike: TypeAlias = "str | os.PathLike[str] | bytes | Array | Image.Image"


@dataclass(frozen=True)
class Method:
    """What published results are looked up by.

    pooling, backbone: as results print them, such as "NetVLAD" and "VGG-16"; the backbone of DenseVLAD is "RootSIFT".
    dim: length of a vector. whitened: by PCA. trained: for place recognition, not off the shelf.
    """

    pooling: str
    backbone: str
    dim: int
    whitened: bool
    trained: bool


@runtime_checkable
class Describer(Protocol):
    """Turns photos into vectors. A vector never depends on which other photos share its batch."""

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def resize(self) -> int | None:
        """Longest side in pixels that photos are scaled down to; None leaves them as they are."""

    @property
    def smallest(self) -> int:
        """Least side of a photo in pixels; smaller photos are reported as unreadable."""

    @property
    def takes_masks(self) -> bool:
        """Whether `describe` takes (H, W, 4) images whose alpha is 0 where pixels are undefined."""

    @property
    def identity(self) -> str:
        """Digest of everything a vector depends on: equal identities give equal vectors."""

    @property
    def method(self) -> Method | None:
        """What published results it compares with; None where there can be none."""

    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images, (H, W, 3) uint8 RGB arrays or whatever `netvlad.read_image` takes.

        Returns (N, dim) float32, rows of unit length. Raises ImageError, ModelError.
        """


@runtime_checkable
class Fittable(Describer, Protocol):
    """A describer with cluster centres or a whitening that `netvlad.fit` learns from photos without labels."""

    fitted_on: dict[str, Any]

    @property
    def ready(self) -> bool:
        """False while cluster centres are missing, without which it cannot describe."""

    @property
    def clusters(self) -> int:
        """Number of cluster centres."""

    @property
    def needs_centres(self) -> bool:
        """Whether `fit` learns cluster centres: False for poolings without any and for centres that came with it."""

    def set_centres(self, centres: FloatArray, descriptors: FloatArray) -> None:
        """Initialise the pooling from centres (K, D) and the local descriptors (n, D) they were learnt on."""

    def set_whitening(self, whitening: Any) -> None:
        """Whiten vectors from now on; None removes the whitening."""

    def local_descriptors(self, images: Sequence[ImageLike]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the row of each image and its L2-normalised local descriptors, (n, D) float32."""


def needs_fit(describer: Describer) -> bool:
    """Whether `netvlad.fit` has to run before it can describe."""
    return isinstance(describer, Fittable) and not describer.ready


@runtime_checkable
class Saveable(Describer, Protocol):
    """A describer that can be written into a folder, and so into an index."""

    @property
    def architecture(self) -> Mapping[str, Any]:
        """Everything but weights that a vector depends on, as JSON; its card holds it."""

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write weights and a card into `folder`; `netvlad.load(folder)` reads them back."""


class Parts(Protocol):
    """The vector of one photo before any projection, as a sum over the locations of its feature map.

    Norms by which sums are divided are held fixed: they are those of the whole photo.
    """

    @property
    def vector(self) -> FloatArray:
        """The sum (P,), of unit length."""

    @property
    def defined(self) -> BoolArray:
        """Which locations of the map count, (h, w); rows and columns lie evenly over the photo."""

    def along(self, direction: FloatArray) -> FloatArray:
        """Scalar product of each cluster's share at each location with its part of `direction` (P,): (K, h, w).

        K is 1 for poolings without clusters. The sum is that of the whole vector.
        """

    def summed(self, cells: IntArray, count: int) -> FloatArray:
        """Sums of the shares of the locations in each of `count` cells, numbered in `cells` (h, w): (count, P)."""


@runtime_checkable
class Separable(Describer, Protocol):
    """A describer whose vectors are W (v - mean), scaled to unit length, v a sum over locations of the photo."""

    @property
    def separable(self) -> bool:
        """Whether `parts` has an answer: False for poolings that are no sum over locations."""

    @property
    def mean(self) -> FloatArray:
        """The mean (P,); zeros without a whitening."""

    def parts(self, image: ImageLike) -> Parts:
        """Take the v of a photo apart. Raises ImageError, and ModelError where `separable` is False."""

    def projected(self, vectors: FloatArray) -> FloatArray:
        """W x for each row of (N, P), without mean and normalisation: (N, dim)."""

    def projected_back(self, vectors: FloatArray) -> FloatArray:
        """W^T z for each row of (N, dim): (N, P)."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best database photos for each query.

    ids: (Q, k) int64 rows of the database, best first, -1 where there is none. scores: (Q, k) float32, larger is
    better, -inf where there is none. seconds: stage -> seconds, of building the database and of this call.
    unreadable: path -> reason, of database and query photos.
    """

    ids: IntArray
    scores: FloatArray
    seconds: Mapping[str, float] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Ranker(Protocol):
    """Ranks the photos of a database, which it was built from, for query photos."""

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def dim(self) -> int | None:
        """Length of its vectors; None where it has none."""

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank the database for each of `photos` (paths) and keep the k best."""
