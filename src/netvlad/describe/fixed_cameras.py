"""Normalisation (WCCN) by fixed cameras, such as webcams.

The photos of a fixed camera differ in light and weather only. Directions in which the local descriptors of one location
vary, or the vectors of one window, say nothing about the place and are attenuated: first of the local descriptors, then
of the vectors. This is computed in closed form, without gradients or positions, in the minutes that describing takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from netvlad.describe.base import BaseDescriber
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.pooling import CentredPooling
from netvlad.describe.stream import decode_for
from netvlad.describe.wccn import fit_wccn, from_covariance
from netvlad.errors import ModelError, PlacesError
from netvlad.runtime.progress import progress
from netvlad.types import Array, FloatArray, IntArray

PHOTOS, WINDOWS, MOST = 24, 4, 2000  # photos of a camera, windows of a photo, windows in all: bounds the memory
LOCAL_RIDGE = 0.3  # share of the mean eigenvalue, for local descriptors
SIDES = 0.55, 0.95  # of a window, as shares of the photo's
Model = TypeVar("Model", bound=BaseDescriber)


@torch.inference_mode()
def fit_local(
    model: BaseDescriber, paths: Sequence[str], cameras: Sequence[str], *, seed: int = 0, workers: int | None = None
) -> NetworkDescriber:
    """Set `model.local` of a network without centres yet, by the local descriptors of fixed cameras' photos.

    paths, cameras: photos and the camera that took each, "" for none. A class is one location in the maps of one
    camera's photos of one size. Up to 24 photos of each camera are drawn by `seed`. Returns `model`, changed. Raises
    PlacesError without two photos of one camera; ModelError for a model that is no network with VLAD pooling, or has
    centres, which were fitted to other local descriptors.
    """
    if not isinstance(model, NetworkDescriber) or not isinstance(model.pooling, CentredPooling):
        raise ModelError(f"{model.name}: fixed cameras adjust local descriptors of networks with VLAD pooling only")
    if model.ready:
        raise ModelError(f"{model.name} has centres already: local descriptors are adjusted before these are fitted")
    rows, camera, _ = _drawn(cameras, seed)
    moment, freedom = np.zeros((model.backbone.dim,) * 2), 0
    sums: dict[tuple[int, tuple[int, ...]], Array] = {}  # (camera, shape of its maps) -> sum over its photos
    counts: dict[tuple[int, tuple[int, ...]], int] = {}
    with progress("local descriptors of fixed cameras", len(rows)) as advance:
        for chunk in decode_for(model, [paths[row] for row in rows], workers=workers):
            good = {photo.row: photo.image for photo in chunk if photo.image is not None}
            number = camera[list(good)]
            for of, batch in model.batches(list(good.values())):
                maps = F.normalize(model.maps(model.prepare(batch))[0].float(), dim=1).cpu().double().numpy()
                for row, x in zip(of, maps, strict=True):
                    flat = x.reshape(len(x), -1)
                    moment += flat @ flat.T
                    freedom += flat.shape[1]
                    key = int(number[row]), x.shape
                    sums[key] = sums[key] + flat if key in sums else flat
                    counts[key] = counts.get(key, 0) + 1
            advance(len(chunk))
    for key, total in sums.items():
        moment -= total @ total.T / counts[key]
        freedom -= total.shape[1]
    model.local = from_covariance(moment / max(1, freedom), LOCAL_RIDGE).to(model.device)
    return model


def fit_cameras(
    model: Model, paths: Sequence[str], cameras: Sequence[str], *, seed: int = 0, workers: int | None = None
) -> Model:
    """Set the whitening of `model` by fixed cameras.

    paths, cameras: photos and the camera that took each, "" for none. Up to 24 photos of each of up to 250 cameras are
    drawn by `seed` (fewer where there are many cameras), and four windows of each camera: one window of all its photos
    is a class. Returns `model`, changed. Raises PlacesError without two photos of one camera, ModelError for a model
    without centres, or one that is whitened already.
    """
    if model.whitening is not None:
        raise ModelError(f"{model.name} is whitened already: fixed cameras normalise the vectors before that")
    rows, camera, rng = _drawn(cameras, seed)
    sides = rng.uniform(*SIDES, (camera.max() + 1, WINDOWS))
    corners = np.stack([sides, rng.uniform(0, 1 - sides), rng.uniform(0, 1 - sides)], axis=2)
    vectors, classes = _windows(model, [paths[row] for row in rows], camera, corners, workers)
    model.set_whitening(fit_wccn(vectors, classes))
    model.fitted_on |= {"cameras": int(camera.max()) + 1, "camera_photos": len(rows)}
    return model


def _drawn(cameras: Sequence[str], seed: int) -> tuple[list[int], IntArray, np.random.Generator]:
    """Rows of the photos to fit on, the camera number of each, and the generator for further draws."""
    members = fixed_cameras(cameras)
    if not members:
        raise PlacesError("no fixed camera with two photos or more; the column place is to say which camera took each")
    rng = np.random.default_rng([seed, 3])
    if len(members) > MOST // (2 * WINDOWS):
        members = [members[i] for i in np.sort(rng.permutation(len(members))[: MOST // (2 * WINDOWS)])]
    each = max(2, min(PHOTOS, MOST // (WINDOWS * len(members))))
    chosen = [np.sort(rng.permutation(group)[:each]) for group in members]
    camera = np.repeat(np.arange(len(members)), [len(rows) for rows in chosen])
    return np.concatenate(chosen).tolist(), camera, rng


def fixed_cameras(cameras: Sequence[str]) -> list[IntArray]:
    """Rows of each camera with two photos or more, cameras by name; "" is none."""
    names = np.asarray(cameras)
    groups = [np.flatnonzero(names == name) for name in sorted(set(cameras) - {""})]
    return [group for group in groups if len(group) > 1]


def _windows(
    model: BaseDescriber, paths: Sequence[str], camera: IntArray, corners: Array, workers: int | None
) -> tuple[FloatArray, IntArray]:
    """Vectors (n, D) of the windows of all photos that can be read, and the class of each."""
    vectors: list[FloatArray] = [np.empty((0, model.dim), np.float32)]
    classes: list[int] = []
    with progress("describing fixed cameras", len(paths)) as advance:
        for chunk in decode_for(model, paths, workers=workers):
            cut = []
            for photo in chunk:
                if photo.image is None:
                    continue
                number = int(camera[photo.row])
                for w, (side, top, left) in enumerate(corners[number]):
                    cut.append(window(photo.image, side, top, left, model.smallest))
                    classes.append(number * WINDOWS + w)
            vectors.append(model.describe(cut))
            advance(len(chunk))
    return np.concatenate(vectors), np.array(classes, np.int64)


def window(image: Array, side: float, top: float, left: float, least: int = 1) -> Array:
    """Cut a window (h, w, C) from an image (H, W, C).

    side, top, left: shares of the image's sides. least: least side in pixels.
    """
    height, width = image.shape[:2]
    h, w = (min(length, max(least, round(side * length))) for length in (height, width))
    y, x = min(round(top * height), height - h), min(round(left * width), width - w)
    return np.ascontiguousarray(image[y : y + h, x : x + w])
