"""Sparse local features: points that a detector finds in a photo, each with a descriptor of its surroundings.

SIFT (Lowe 2004), RootSIFT (Arandjelovic and Zisserman 2012), ORB (Rublee et al. 2011) and AKAZE (Alcantarilla et al.
2013), all by OpenCV, and XFeat (Potje et al. 2024), by a network of `xfeat`. Dense RootSIFT, without detection, is in
`dense_sift`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from netvlad.errors import ImageError, NetvladError
from netvlad.features.xfeat_weights import find_xfeat
from netvlad.types import Array, BoolArray, FloatArray

SMALLEST = 8  # pixels a side; some of OpenCV's detectors fail below


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Features of one photo, strongest first.

    points (N, 2) float32: x, y in pixels, (0, 0) is the centre of the first pixel. scale (N,) float32: diameter in
    pixels of the neighbourhood that the detector used. angle (N,) float32: degrees clockwise from right.
    descriptors: (N, D) float32, or uint8 of 8 bits each where `kind` is binary.
    """

    points: FloatArray
    scale: FloatArray
    angle: FloatArray
    descriptors: Array
    kind: str

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Kind:
    """A kind of local features.

    detector: makes OpenCV's detector of at most so many features, or one with its interface. dim: numbers of a
    descriptor. binary: whether these are bytes of bits. support: reach of a descriptor from its point, at its farthest
    corner and with the smoothing before it, in multiples of `scale`. ratio, farthest: how near the nearest descriptor
    of another photo must be for a match, in multiples of the second nearest's distance and in L2. most: features of a
    photo that are enough to match it.
    """

    detector: Callable[[int], Any]
    dim: int
    binary: bool
    support: float
    ratio: float = 0.8  # Lowe 2004, section 7.1
    farthest: float = math.inf
    most: int = 1000


def _sift(most: int) -> Any:
    # without the precise doubling all points lie a quarter pixel off
    return cv2.SIFT.create(contrastThreshold=CONTRAST, enable_precise_upscale=True)


def _orb(most: int) -> Any:
    return cv2.ORB.create(nfeatures=most, fastThreshold=10)


def _akaze(most: int) -> Any:
    modules: list[Any] = [cv2, getattr(cv2, "xfeatures2d", None)]  # OpenCV 5 moved it to the contributed modules
    for module in modules:
        if hasattr(module, "AKAZE_create"):
            return module.AKAZE_create(threshold=3e-4)
    raise NetvladError(
        f"OpenCV {cv2.__version__} as installed has no AKAZE: install opencv-contrib-python-headless in place of "
        f"opencv-python-headless, or choose another kind ({', '.join(k for k in KINDS if k != 'akaze')})"
    )


def _xfeat(most: int) -> Any:
    from netvlad.features.xfeat import XFeatDetector  # torch is slow to import, and the other kinds do without

    return XFeatDetector(most)


CONTRAST = 0.02  # of SIFT, half of OpenCV's: otherwise night photos have few points

# SIFT: a square of 4 bins of 3 sigma (sigma: half the scale), turned, and half a bin around it, 5.3 scales; ORB: 13
# pixels each way, turned, and a filter of 3, of a scale of 31; AKAZE: 10 samples half a scale apart, turned. With
# 3 sigma of the smoothing for those two. XFeat: 32 pixels, of cells of 8, as far as the finest of its levels sees; its
# descriptors match from a cosine of 0.82 (Potje et al. 2024), whatever the second nearest is like.
KINDS = {
    "rootsift": Kind(_sift, 128, False, 6.8),
    "sift": Kind(_sift, 128, False, 6.8),
    "orb": Kind(_orb, 32, True, 0.7),
    "akaze": Kind(_akaze, 61, True, 8.6),
    "xfeat": Kind(_xfeat, 64, False, 4.0, ratio=1.0, farthest=math.sqrt(2 - 2 * 0.82), most=500),
}


def kind_of(name: str) -> Kind:
    """The kind called so. Raises NetvladError that lists them all."""
    try:
        return KINDS[name]
    except KeyError:
        raise NetvladError(f"no kind of local features is called {name!r}; choose one of {', '.join(KINDS)}") from None


def best_kind() -> str:
    """xfeat where its weights are installed, which finds most matches across light and seasons, else rootsift."""
    return "xfeat" if find_xfeat() else "rootsift"


def local_features(image: Array, kind: str = "rootsift", most: int = 2000) -> LocalFeatures:
    """The `most` strongest local features of a photo, in an order that is always the same.

    image: uint8, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, where pixels with alpha 0 are undefined; features
    whose descriptor reaches one are dropped. kind: rootsift and xfeat (rows of unit length), sift (numbers 0..255), orb
    (256 bits), akaze (486 bits). A photo without texture, or below 8 pixels a side, has none: arrays of length 0.
    Raises ImageError for any other array, NetvladError for an unknown kind and for
    xfeat without its weights.
    """
    found = stored_features(image, kind, most)
    return replace(found, descriptors=as_kind(found.descriptors, kind))


def stored_features(image: Array, kind: str, most: int) -> LocalFeatures:
    """As `local_features`, with descriptors as OpenCV's bytes, which take a quarter of the memory."""
    how = kind_of(kind)
    if most < 1:
        raise NetvladError(f"at least 1 local feature of a photo is wanted, got most={most}")
    grey, defined = grey_and_defined(image)
    keypoints: Any = ()
    descriptors: Any = None
    if defined is not None and kind == "xfeat":  # normalises by all pixels, so that none may show through a hole
        grey = np.where(defined, grey, np.uint8(grey[defined].mean() if defined.any() else 0))
    if min(grey.shape) >= SMALLEST:
        keypoints, descriptors = how.detector(most).detectAndCompute(grey, None)
    if not keypoints:
        descriptors = np.empty((0, how.dim), np.uint8)
    rows = [(*k.pt, k.size, k.angle, k.response) for k in keypoints]
    x, y, scale, angle, response = np.array(rows, np.float32).reshape(-1, 5).T
    order = np.lexsort((angle, scale, x, y, -response))
    if defined is not None:
        order = order[_untouched(defined, x[order], y[order], how.support * scale[order])]
    order = order[:most]
    points = np.stack([x[order], y[order]], axis=1)
    return LocalFeatures(points, scale[order], angle[order], descriptors[order].astype(np.uint8), kind)


def as_kind(stored: Array, kind: str) -> Array:
    """Convert descriptors of `stored_features` to those of `local_features`."""
    if kind_of(kind).binary:
        return stored
    if kind == "xfeat":
        return unit_descriptors(stored)
    sift = stored.astype(np.float32)
    if kind == "sift":
        return sift
    return np.asarray(np.sqrt(sift / np.maximum(sift.sum(axis=1, keepdims=True), 1)))


def unit_descriptors(stored: Array) -> FloatArray:
    """XFeat's descriptors (N, 64) float32 of unit length from bytes, of which 128 is 0."""
    found = stored.astype(np.float32) - 128
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1))


def _untouched(defined: BoolArray, x: FloatArray, y: FloatArray, reach: FloatArray) -> BoolArray:
    """Whether each point has no undefined pixel within `reach` pixels; those outside of the image do not count."""
    far = cv2.distanceTransform(defined.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    height, width = defined.shape
    column, row = (np.clip(np.rint(v).astype(int), 0, side - 1) for v, side in ((x, width), (y, height)))
    return np.asarray(far[row, column] > reach + 0.5)


def grey_and_defined(image: Array) -> tuple[Array, BoolArray | None]:
    """(H, W) uint8 grey values, and (H, W) bool where alpha is not 0, None where that is everywhere.

    Raises ImageError for anything but (H, W), (H, W, 1), (H, W, 3) and (H, W, 4) uint8.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ImageError(f"an image array must be HxW, HxWx3 or HxWx4 uint8, got {image.shape} {image.dtype}")
    if channels == 1:
        return np.ascontiguousarray(image.reshape(image.shape[:2])), None
    grey = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    defined = image[..., 3] > 0 if channels == 4 else None
    return grey, None if defined is None or defined.all() else defined
