"""Photos as input of the trained layers; the output of the frozen layers is computed once and kept, where it fits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.network import NetworkDescriber
from netvlad.describe.pooling import defined_locations
from netvlad.describe.stream import decode_for
from netvlad.errors import NetvladError
from netvlad.images.decode import Decoded
from netvlad.runtime.progress import progress
from netvlad.training.split import Split
from netvlad.types import Array, BoolArray

Change: TypeAlias = Callable[[int, Array], Array]

AT_ONCE = 32  # kept maps in one forward pass
THREADS = 8  # decode the photos of one step


@dataclass(frozen=True)
class Batch:
    """Photos of one size.

    positions: in the rows asked for. x: input of the head, kept maps where `kept`, else photos (n, 3, H, W). size:
    (H, W) of the photos. alpha: (n, 1, H, W), 1 where a photo is defined; None where all of it is.
    """

    positions: list[int]
    x: Tensor
    size: tuple[int, int]
    alpha: Tensor | None = None
    kept: bool = False


class PhotoLoader:
    """Decodes photos and runs the whole network on them each time; split: which part of it is trained."""

    kept = "nowhere"

    def __init__(
        self, model: NetworkDescriber, paths: Sequence[str], split: Split | None = None, *, workers: int | None = None
    ) -> None:
        self.model = model
        self.paths = paths
        self.split = split
        self.workers = workers
        self.unreadable: dict[int, str] = {}

    def take(self, rows: Sequence[int]) -> Iterator[Batch]:
        """Yield the photos at `rows` (none twice), without those that cannot be read."""
        position = {int(row): i for i, row in enumerate(rows)}
        for chunk in decode_for(self.model, self.paths, rows=list(position), workers=self.workers):
            yield from self._batches(chunk, position)

    def take_few(self, rows: Sequence[int], change: Change | None = None) -> Iterator[Batch]:
        """As `take`, for the photos of one step: decoded in threads, which start at once.

        change(position in `rows`, image) -> image: applied to each photo first.
        """

        def decode(row: int) -> list[Decoded]:
            return next(decode_for(self.model, self.paths, rows=[row], workers=0))

        position = {int(row): i for i, row in enumerate(rows)}
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            photos = [photo for chunk in threads.map(decode, position) for photo in chunk]
        yield from self._batches(photos, position, change)

    def _batches(
        self, photos: Sequence[Decoded], position: dict[int, int], change: Change | None = None
    ) -> Iterator[Batch]:
        self.unreadable |= {photo.row: photo.reason for photo in photos if photo.image is None}
        good = [(position[photo.row], photo.image) for photo in photos if photo.image is not None]
        images = [change(at, image) if change else image for at, image in good]
        for members, pixels in self.model.batches(images):
            x = self.model.prepare(pixels)
            alpha = x[:, 3:] if x.shape[1] == 4 else None
            yield Batch([good[i][0] for i in members], x[:, :3], (x.shape[-2], x.shape[-1]), alpha)

    def head(self, batch: Batch) -> Tensor:
        """Vectors (n, dim) of a batch from `take`, with the gradient of the trained parameters."""
        if self.split is None or self.split.below is None:
            return _pooled(self.model, self.model.backbone(batch.x), batch.alpha)
        return _pooled(self.model, self.split.above(self.split.below(batch.x), batch.size), batch.alpha)


class FrozenPhoto(NamedTuple):
    """The frozen layers' output on one photo.

    maps: (H', W', C), or (T, C) tokens of a ViT. size: (H, W) of the photo. alpha: (H, W) bool, None where all of it is
    defined.
    """

    maps: Array
    size: tuple[int, int]
    alpha: BoolArray | None


class FrozenMaps:
    """The output of the frozen layers on every photo, computed once and kept; `compute_frozen_maps` makes one.

    photos: row -> output. Maps beyond `memory` bytes go to an unnamed file in `folder`, which ends with the process.
    """

    def __init__(self, model: NetworkDescriber, split: Split, storage: str, memory: float, folder: str | None) -> None:
        self.model = model
        self.split = split
        self.storage = np.dtype(storage)
        self.memory, self.folder = memory, folder
        self.photos: dict[int, FrozenPhoto] = {}
        self.unreadable: dict[int, str] = {}
        self.bytes = 0  # in memory
        self._file: IO[bytes] | None = None
        self._filed: list[tuple[int, FrozenPhoto, int]] = []  # row, the photo without its maps, where these are

    @property
    def kept(self) -> str:
        return "in memory" if self._file is None else "on disk"

    def take(self, rows: Sequence[int]) -> Iterator[Batch]:
        """As `PhotoLoader.take`, from the kept maps."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, row in enumerate(rows):
            if row in self.photos:
                photo = self.photos[row]
                groups.setdefault((photo.maps.shape, photo.size, photo.alpha is not None), []).append(i)
        for (_, size, masked), positions in groups.items():
            for start in range(0, len(positions), AT_ONCE):
                part = positions[start : start + AT_ONCE]
                photos = [self.photos[rows[i]] for i in part]
                x = self._stack([photo.maps for photo in photos])
                alpha = self._stack([photo.alpha for photo in photos])[:, None] if masked else None
                yield Batch(part, x.permute(0, 3, 1, 2) if x.ndim == 4 else x, size, alpha, kept=True)

    def head(self, batch: Batch) -> Tensor:
        """As `PhotoLoader.head`."""
        return _pooled(self.model, self.split.above(batch.x, batch.size), batch.alpha)

    def _stack(self, arrays: Sequence[Array | None]) -> Tensor:
        stacked = np.stack(cast("Sequence[Array]", arrays))  # photos of one batch all have alpha, or none has
        # a copy is aligned as torch wants it: some CPU kernels round differently at other alignments
        return torch.from_numpy(stacked).to(self.model.device, torch.float32, copy=True)

    def add(self, rows: Sequence[int], x: Tensor, batch: Batch) -> None:
        """Keep the output x of the frozen layers on the photos `rows` of a batch: (n, C, H', W'), or (n, T, C) tokens.

        Raises NetvladError for values that the storage cannot hold, or when the disk is full.
        """
        largest = float(x.abs().amax())
        if not largest <= float(np.finfo(self.storage).max):  # also true of NaN
            raise NetvladError(
                f"the frozen part of {self.model.name} gives values up to {largest:g}, beyond {self.storage}"
                + ("; choose storage float32" if np.isfinite(largest) else ": its weights are broken")
            )
        x = x.permute(0, 2, 3, 1) if x.ndim == 4 else x  # convolutions on a CPU prefer channels last
        arrays = x.float().cpu().contiguous().numpy().astype(self.storage)
        alpha = None if batch.alpha is None else batch.alpha[:, 0].bool().cpu().numpy()
        for i, row in enumerate(rows):
            photo = FrozenPhoto(arrays[i], batch.size, None if alpha is None else alpha[i])
            if self.bytes + photo.maps.nbytes <= self.memory:
                self.bytes += photo.maps.nbytes
                self.photos[row] = photo
            else:
                self._write(row, photo)

    def _write(self, row: int, photo: FrozenPhoto) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self.folder, prefix="frozen-")  # noqa: SIM115 - lives as long
            offset = self._file.tell()
            self._file.write(photo.maps.data)
        except OSError as e:
            raise NetvladError(
                f"cannot keep {len(self._filed)} frozen maps there ({e.strerror})", path=self.folder
            ) from e
        placeholder = np.broadcast_to(self.storage.type(0), photo.maps.shape)  # takes no memory
        self._filed.append((row, photo._replace(maps=placeholder), offset))

    def read_filed(self) -> None:
        """Make the maps in the file available; they are read through the page cache."""
        if self._file is None:
            return
        self._file.flush()
        flat = np.memmap(self._file, self.storage, "r")
        for row, photo, offset in self._filed:
            start = offset // self.storage.itemsize
            maps = flat[start : start + photo.maps.size].reshape(photo.maps.shape)
            self.photos[row] = photo._replace(maps=maps)
        self._filed.clear()


def compute_frozen_maps(
    model: NetworkDescriber,
    split: Split,
    paths: Sequence[str],
    *,
    storage: str = "float16",
    memory: float = 4e9,
    folder: str | None = None,
    workers: int | None = None,
) -> FrozenMaps | None:
    """Run the photos once through the frozen layers; None where these cannot be cut off, or the maps do not fit.

    memory: bytes to use; folder: for the maps beyond that. Without a folder all maps must fit.
    Raises NetvladError when the folder is full, or values are too large for the storage.
    """
    if split.below is None:
        return None
    frozen = FrozenMaps(model, split, storage, memory, folder)
    photos = PhotoLoader(model, paths, workers=workers)
    done = 0
    with progress("frozen layers", len(paths)) as advance:
        for batch in photos.take(range(len(paths))):
            x = split.below(batch.x)
            each = x[0].numel() * frozen.storage.itemsize
            if folder is None and frozen.bytes + (len(paths) - done) * each > memory:
                return None
            frozen.add(batch.positions, x, batch)
            done += len(batch.positions)
            advance(len(batch.positions))
    frozen.unreadable = photos.unreadable
    frozen.read_filed()
    return frozen


def _pooled(model: NetworkDescriber, maps: Tensor, alpha: Tensor | None) -> Tensor:
    maps = model.adjusted(maps)
    mask = None if alpha is None else defined_locations(alpha, (maps.shape[-2], maps.shape[-1]))
    return cast(Tensor, model.pooling(maps, mask))
