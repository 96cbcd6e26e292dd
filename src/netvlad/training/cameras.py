"""Fixed cameras: in their photos only light and weather change.

A window cut from all photos of a camera at the same spot is a place, and another window of the camera is another place.
So a few cameras give many examples of a place in different light, without any error of position.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.backbone import Backbone
from netvlad.describe.fixed_cameras import fixed_cameras
from netvlad.errors import PlacesError
from netvlad.places import read_places
from netvlad.training.config import Config
from netvlad.training.frozen_maps import Batch
from netvlad.training.losses import softmax_loss
from netvlad.training.network import TrainableNetwork
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.split import as_map, prefix_tokens
from netvlad.types import Array, BoolArray, IntArray

CAMERAS, WINDOWS, PHOTOS = 6, 3, 2  # cameras of a batch; windows of each camera, photos of each window
SIDES = 0.45, 0.9  # least and greatest side of a window, as a share of the photo's
OVERLAP = 0.4  # windows that share more of their area are neither positives nor negatives


class Cameras:
    """The photos of a table whose column place names the camera.

    Raises PlacesError for fewer than two cameras with two photos.
    """

    def __init__(self, file: str, config: Config, rows: PhotoRows) -> None:
        places = read_places(file)
        self.seed, self.temperature = config.seed, config.temperature
        at = rows.add(places.path)
        self.members = [at[group] for group in fixed_cameras(places.place.tolist())]
        if len(self.members) < 2:
            raise PlacesError(
                f"{len(self.members)} fixed cameras with two photos or more; its column place is to say which "
                "photos are of one camera",
                path=file,
            )

    def loss(self, network: TrainableNetwork, epoch: int, unit: int) -> tuple[Tensor, int]:
        """The softmax loss of one batch of windows, drawn by the seed, the epoch and the unit."""
        rng = np.random.default_rng([self.seed, 7, epoch, unit])
        side = float(rng.uniform(*SIDES))
        drawn = rng.permutation(len(self.members))[:CAMERAS]
        row, camera, window, corner = [], [], [], []
        for c in drawn.tolist():
            for w, at in enumerate(rng.uniform(0, 1 - side, (WINDOWS, 2))):
                chosen = rng.permutation(self.members[c])[:PHOTOS].tolist()
                row += chosen
                camera += [c] * len(chosen)
                window += [w] * len(chosen)
                corner += [at] * len(chosen)
        with network.timed("loading"):
            photos, of = np.unique(row, return_inverse=True)
            batches = network.training_batches(photos.tolist(), epoch, unit)
        with network.timed("forward"):
            vectors, read = _described(network, batches, of, np.array(corner), side)
            masks = relations(np.array(camera)[read], np.array(window)[read], np.array(corner)[read], side)
            positive, negative = (torch.from_numpy(mask).to(vectors.device) for mask in masks)
            return softmax_loss(vectors, positive, negative, self.temperature)


def relations(camera: IntArray, window: IntArray, corner: Array, side: float) -> tuple[BoolArray, BoolArray]:
    """positive, negative (n, n) bool, between windows of cameras, both (n,); corner (n, 2), side: shares of a photo."""
    same = camera[:, None] == camera
    shared = np.clip(side - np.abs(corner[:, None] - corner), 0, None).prod(-1) / side**2
    positive: BoolArray = same & (window[:, None] == window) & ~np.eye(len(camera), dtype=bool)
    return positive, ~same | (shared < OVERLAP)


def _described(
    network: TrainableNetwork, batches: list[Batch], of: IntArray, corner: Array, side: float
) -> tuple[Tensor, IntArray]:
    """Vectors (n, D) of the windows of readable photos, and which windows these are."""
    parts = [torch.empty(0, network.model.dim, device=network.model.device)]
    order: list[int] = []
    for batch in batches:
        place = {position: i for i, position in enumerate(batch.positions)}
        mine = [i for i, photo in enumerate(of) if photo in place]
        cut = windows(batch, network.model.backbone, [place[of[i]] for i in mine], corner[mine], side)
        parts.append(network.head(cut))
        order += mine
    return torch.cat(parts), np.array(order, np.int64)


def windows(batch: Batch, backbone: Backbone, photos: list[int], corner: Array, side: float) -> Batch:
    """The windows of `photos` (n,) of a batch with their upper left corners at shares (n, 2) of the photo's sides.

    Kept maps are cut by whole cells. Cells near the border of a window have seen beyond it, unlike those of a photo.
    """
    x, prefix = batch.x, None
    if x.ndim == 3:  # a ViT's tokens, some of them of no patch
        prefix, x = x[photos, : prefix_tokens(backbone)], as_map(backbone, x, batch.size)
    whole = x.shape[-2:]
    x = _cut(x, photos, corner, side)
    cells = [length / cells for length, cells in zip(batch.size, whole, strict=True)]
    height, width = (round(n * cell) for n, cell in zip(x.shape[-2:], cells, strict=True))
    if prefix is not None:
        x = torch.cat([prefix, x.flatten(2).transpose(1, 2)], dim=1)
    alpha = None if batch.alpha is None else _cut(batch.alpha, photos, corner, side)
    return Batch(list(range(len(photos))), x, (height, width), alpha, batch.kept)


def _cut(x: Tensor, photos: list[int], corner: Array, side: float) -> Tensor:
    """x (N, C, H, W) -> (n, C, h, w)."""
    h, w = (max(1, round(side * length)) for length in x.shape[-2:])
    top, left = (np.minimum(np.rint(corner * x.shape[-2:]), (x.shape[-2] - h, x.shape[-1] - w)).astype(int)).T
    return torch.stack([x[i, :, t : t + h, s : s + w] for i, t, s in zip(photos, top, left, strict=True)])
