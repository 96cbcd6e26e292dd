"""Within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006), its classes what fixed cameras see.

What a fixed camera's photos differ in is light and weather. Directions in which the local descriptors of one place in
its photos vary, or the vectors of one window, tell nothing of the place, and are turned down: first of the local
descriptors, then of the vectors. No gradient, no position: some minutes of describing, in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.stream import Describer, decode_for
from netvlad.errors import ModelError, PlacesError
from netvlad.places import Places
from netvlad.runtime.progress import progress

PHOTOS, WINDOWS, MOST = 24, 4, 2000  # of a camera, of each photo, and windows in all, which bounds the memory
RIDGES = {"local": 0.3, "vectors": 1.0}  # shares of the mean eigenvalue
SIDES = 0.55, 0.95  # of a window, as shares of the photo's
LEAST = 0.1  # a direction turned down by less stays as it is, and is not stored


class WithinWhitening(nn.Module):
    """y = (S + a I)^(-1/2) x up to a factor, then L2: (N, D) -> (N, D); S the covariance within classes, a its ridge.

    `directions` (r, D), unit rows, are eigenvectors of S with eigenvalue s; `gains` (r,) are sqrt(a / (s + a)) - 1.
    The other directions keep their length, so that D numbers need r x D, not D x D.
    """

    def __init__(self, dim: int, rank: int):
        super().__init__()
        self.register_buffer("directions", torch.zeros(rank, dim))
        self.register_buffer("gains", torch.zeros(rank))

    @property
    def dim(self) -> int:
        return self.directions.shape[1]

    @property
    def card(self) -> dict:
        return {"within": len(self.gains)}

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return F.normalize(x + ((x @ self.directions.T) * self.gains) @ self.directions, dim=1)

    def of_maps(self, maps: Tensor) -> Tensor:
        """(N, D, H, W) -> the same, of each location; not normalised."""
        turned = self.directions.T @ (self.gains[:, None] * self.directions)
        return maps + F.conv2d(maps, turned.to(maps.dtype)[:, :, None, None])

    def cropped(self, dim: int):
        raise ModelError(f"vectors normalised by fixed cameras keep all their {self.dim} numbers; whiten by PCA to cut")


def fit_within(vectors: np.ndarray, classes: np.ndarray) -> WithinWhitening:
    """Fit on `vectors` (n, D), one a row, and the class of each, (n,). The ridge is the mean eigenvalue that is not 0.

    Raises ModelError where no class has two vectors that differ.
    """
    x = np.asarray(vectors, dtype=np.float64)
    _, of, counts = np.unique(classes, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, of, x)
    x = x - (means / counts[:, None])[of]
    freedom = max(1, len(x) - len(counts))
    if len(x) > x.shape[1]:
        return _turned_down(x.T @ x / freedom, RIDGES["vectors"])
    return _turned_down(x @ x.T / freedom, RIDGES["vectors"], x)  # the n x n Gram matrix is the smaller


def _turned_down(covariance: np.ndarray, ridge: float, x: np.ndarray | None = None) -> WithinWhitening:
    """By the covariance (D, D), or by the Gram matrix (n, n) of x (n, D). ridge: a share of the mean eigenvalue."""
    s, vectors = np.linalg.eigh(covariance)
    kept = s > max(s.max(initial=0) * 1e-10, np.finfo(np.float32).tiny)
    if not kept.any():
        raise ModelError("those photos of each fixed camera that can be read are all alike: nothing says what varies")
    ridge *= s[kept].mean()
    gains = np.sqrt(ridge / (np.maximum(s, 0) + ridge)) - 1
    kept &= gains <= -LEAST
    directions = vectors[:, kept].T
    if x is not None:
        directions = directions @ x
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    whitening = WithinWhitening(directions.shape[1], int(kept.sum()))
    whitening.directions.copy_(torch.from_numpy(directions))
    whitening.gains.copy_(torch.from_numpy(gains[kept]))
    return whitening


@torch.inference_mode()
def fit_local(model, cameras: Places, *, seed: int = 0, workers: int | None = None):
    """Set `model.local` of a network without centres yet, by the local descriptors of fixed cameras' photos.

    A class is one location of the maps of one camera's photos of one size. Up to 24 photos of each camera are drawn by
    `seed`. Returns `model`, changed. Raises PlacesError and ModelError as `fit_cameras`; ModelError for a model with
    centres, which were fitted to other local descriptors, and for a pooling that has none.
    """
    if not hasattr(model, "local") or not hasattr(model.pooling, "initialise"):
        raise ModelError(f"{model.name}: fixed cameras adjust local descriptors of networks with VLAD pooling only")
    if model.ready:
        raise ModelError(f"{model.name} has centres already: local descriptors are adjusted before these are fitted")
    rows, camera, _ = _drawn(cameras, seed)
    moment, freedom, sums = np.zeros((model.backbone.dim,) * 2), 0, {}
    with progress("local descriptors of fixed cameras", len(rows)) as advance:
        for chunk in decode_for(model, [cameras.path[row] for row in rows], workers=workers):
            good = [photo for photo in chunk if photo.image is not None]
            for of, batch in model.batches([photo.image for photo in good]):
                maps = F.normalize(model.maps(model.prepare(batch))[0].float(), dim=1).cpu().double().numpy()
                for row, x in zip(of, maps, strict=True):
                    flat = x.reshape(len(x), -1)
                    moment += flat @ flat.T
                    freedom += flat.shape[1]
                    total = sums.setdefault((int(camera[good[row].row]), x.shape), [np.zeros_like(flat), 0])
                    total[0] += flat
                    total[1] += 1
            advance(len(chunk))
    for total, n in sums.values():
        moment -= total @ total.T / n
        freedom -= total.shape[1]
    model.local = _turned_down(moment / max(1, freedom), RIDGES["local"]).to(model.device)
    return model


def fit_cameras(model: Describer, cameras: Places, *, seed: int = 0, workers: int | None = None):
    """Set `model.whitening` by fixed cameras, which the column place of `cameras` names. Returns `model`, changed.

    Up to 24 photos of each of up to 250 cameras are drawn by `seed` (fewer where there are many cameras), and four
    windows of each camera: one window of all its photos is a class. Raises PlacesError for a table without two photos
    of one camera, ModelError for a model without centres, or one that is whitened already.
    """
    if model.whitening is not None:
        raise ModelError(f"{model.name} is whitened already: fixed cameras normalise the vectors before that")
    rows, camera, rng = _drawn(cameras, seed)
    sides = rng.uniform(*SIDES, (camera.max() + 1, WINDOWS))
    corners = np.stack([sides, rng.uniform(0, 1 - sides), rng.uniform(0, 1 - sides)], axis=2)
    vectors, classes = _windows(model, [cameras.path[row] for row in rows], camera, corners, workers)
    model.whitening = fit_within(vectors, classes).to(model.device)
    model.fitted_on |= {"cameras": int(camera.max()) + 1, "camera_photos": len(rows)}
    return model


def _drawn(cameras: Places, seed: int) -> tuple[list[int], np.ndarray, np.random.Generator]:
    """Rows of the photos to learn from, the number of the camera of each, and a generator for what else is drawn."""
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


def fixed_cameras(places: Places) -> list[np.ndarray]:
    """Rows of each fixed camera with two photos or more, by the name in the column place."""
    groups = [np.flatnonzero(places.place == name) for name in sorted(set(places.place) - {""})]
    return [group for group in groups if len(group) > 1]


def _windows(
    model: Describer, paths: Sequence[str], camera: np.ndarray, corners: np.ndarray, workers: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, D) of the windows of all photos that can be read, and the class of each."""
    vectors, classes = [np.empty((0, model.dim), np.float32)], []
    with progress("describing fixed cameras", len(paths)) as advance:
        for chunk in decode_for(model, paths, workers=workers):
            cut = []
            for photo in chunk:
                if photo.image is None:
                    continue
                number = int(camera[photo.row])
                for w, (side, top, left) in enumerate(corners[number]):
                    cut.append(window(photo.image, side, top, left, getattr(model, "smallest", 1)))
                    classes.append(number * WINDOWS + w)
            vectors.append(model.describe(cut))
            advance(len(chunk))
    return np.concatenate(vectors), np.array(classes, np.int64)


def window(image: np.ndarray, side: float, top: float, left: float, least: int = 1) -> np.ndarray:
    """The window (h, w, C) of an image (H, W, C), its side and its upper left corner shares of the image's sides."""
    height, width = image.shape[:2]
    h, w = (min(length, max(least, round(side * length))) for length in (height, width))
    y, x = min(round(top * height), height - h), min(round(left * width), width - w)
    return np.ascontiguousarray(image[y : y + h, x : x + w])
