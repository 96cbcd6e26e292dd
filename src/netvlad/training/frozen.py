"""Photos on their way to the trained part of a network, the part below run once for all of them where there is room."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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

AT_ONCE = 32  # kept maps in one forward pass
THREADS = 8  # that decode the photos of one step


@dataclass(frozen=True)
class Batch:
    """Photos of one size on their way: `positions` in the rows asked for, `x` what the head takes, `size` (H, W) of
    the photos, `alpha` (n, 1, H, W), 1 where a photo is defined, or None where all of it is. kept: `x` are maps that
    were kept, else photos."""

    positions: list[int]
    x: Tensor
    size: tuple[int, int]
    alpha: Tensor | None = None
    kept: bool = False


class Photos:
    """Decodes photos and runs the whole network on them, each time they are asked for; `split`: what is trained."""

    kept = "nowhere"

    def __init__(
        self, model: NetworkDescriber, paths: Sequence[str], split: Split | None = None, *, workers: int | None = None
    ):
        self.model = model
        self.paths = paths
        self.split = split
        self.workers = workers
        self.unreadable: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int]) -> Iterator[Batch]:
        """The photos at `rows` (none twice), without those that cannot be read."""
        position = {int(row): i for i, row in enumerate(rows)}
        for chunk in decode_for(self.model, self.paths, rows=list(position), workers=self.workers):
            yield from self._batches(chunk, position)

    def take_few(
        self, rows: Sequence[int], change: Callable[[int, np.ndarray], np.ndarray] | None = None
    ) -> Iterator[Batch]:
        """As `take`, for the photos of one step: decoded by threads, for whom no process has to be started.

        change(position, image) -> image: done to each photo first, its position being that in `rows`.
        """

        def decode(row: int) -> list[Decoded]:
            return next(decode_for(self.model, self.paths, rows=[row], workers=0))

        position = {int(row): i for i, row in enumerate(rows)}
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            photos = [photo for chunk in threads.map(decode, position) for photo in chunk]
        yield from self._batches(photos, position, change)

    def _batches(self, photos: Sequence[Decoded], position: dict[int, int], change=None) -> Iterator[Batch]:
        self.unreadable |= {photo.row: photo.reason for photo in photos if photo.image is None}
        good = [photo for photo in photos if photo.image is not None]
        images = [change(position[p.row], p.image) if change else p.image for p in good]
        for members, pixels in self.model.batches(images):
            x = self.model.prepare(pixels)
            alpha = x[:, 3:] if x.shape[1] == 4 else None
            yield Batch([position[good[i].row] for i in members], x[:, :3], tuple(x.shape[-2:]), alpha)

    def head(self, batch: Batch) -> Tensor:
        """Vectors (n, dim) of a batch that `take` gave, with the gradient of what is trained."""
        if self.split is None or self.split.below is None:
            return _pooled(self.model, self.model.backbone(batch.x), batch.alpha)
        return _pooled(self.model, self.split.above(self.split.below(batch.x), batch.size), batch.alpha)


class Frozen:
    """What the part of the backbone below training makes of every photo, computed once and kept.

    As many maps as fit `memory` bytes stay in memory, the others go to an unnamed file in `folder`, which ends with
    the process. Make one with `keep`, which gives None where there is no room.
    """

    def __init__(self, model: NetworkDescriber, split: Split, storage: str, memory: float, folder: str | None):
        self.model = model
        self.split = split
        self.storage = np.dtype(storage)
        self.memory, self.folder = memory, folder
        self.unreadable: dict[int, str] = {}
        self._maps: dict[int, np.ndarray] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._alpha: dict[int, np.ndarray] = {}
        self.bytes = 0  # in memory
        self._file = None
        self._filed: list[tuple[int, tuple[int, ...], int]] = []

    @property
    def kept(self) -> str:
        return "in memory" if self._file is None else "on disk"

    def take(self, rows: Sequence[int]) -> Iterator[Batch]:
        """As `Photos.take`, from what is kept."""
        groups: dict[tuple, list[int]] = {}
        for i, row in enumerate(rows):
            if row in self._maps:
                key = (self._maps[row].shape, self._sizes[row], row in self._alpha)
                groups.setdefault(key, []).append(i)
        for (_, size, masked), positions in groups.items():
            for start in range(0, len(positions), AT_ONCE):
                part = positions[start : start + AT_ONCE]
                alpha = self._stack(self._alpha, rows, part)[:, None] if masked else None
                x = self._stack(self._maps, rows, part)
                yield Batch(part, x.permute(0, 3, 1, 2) if x.ndim == 4 else x, size, alpha, kept=True)

    def head(self, batch: Batch) -> Tensor:
        """As `Photos.head`."""
        return _pooled(self.model, self.split.above(batch.x, batch.size), batch.alpha)

    def _stack(self, arrays: dict[int, np.ndarray], rows: Sequence[int], positions: Iterable[int]) -> Tensor:
        stacked = np.stack([arrays[rows[i]] for i in positions])
        # copied, so that it lies where torch wants it: some CPU kernels round differently at other alignments
        return torch.from_numpy(stacked).to(self.model.device, torch.float32, copy=True)

    def add(self, rows: Sequence[int], x: Tensor, batch: Batch) -> None:
        """Keep what enters training of the photos `rows` of a batch: maps (n, C, H', W') or a ViT's tokens (n, T, C).

        Raises NetvladError for values that the storage cannot hold, or when the disk is full.
        """
        largest = float(x.abs().amax())
        if not largest <= float(np.finfo(self.storage).max):  # NaN is not either
            raise NetvladError(
                f"the frozen part of {self.model.name} gives values up to {largest:g}, beyond {self.storage}"
                + ("; choose storage float32" if np.isfinite(largest) else ": its weights are broken")
            )
        x = x.permute(0, 2, 3, 1) if x.ndim == 4 else x  # channels last is what convolutions on a CPU like best
        arrays = x.float().cpu().contiguous().numpy().astype(self.storage)
        for i, row in enumerate(rows):
            self._sizes[row] = batch.size
            if batch.alpha is not None:
                self._alpha[row] = batch.alpha[i, 0].bool().cpu().numpy()
            if self.bytes + arrays[i].nbytes <= self.memory:
                self.bytes += arrays[i].nbytes
                self._maps[row] = arrays[i]
            else:
                self._write(row, arrays[i])

    def _write(self, row: int, array: np.ndarray) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self.folder, prefix="frozen-")  # noqa: SIM115 - lives as long
            self._filed.append((row, array.shape, self._file.tell()))
            self._file.write(array.data)
        except OSError as e:
            raise NetvladError(f"{self.folder}: cannot keep {len(self._filed)} frozen maps there ({e.strerror})") from e

    def close(self) -> None:
        """All are there: what was filed is read through the page cache from now on."""
        if self._file is None:
            return
        self._file.flush()
        flat = np.memmap(self._file, self.storage, "r")
        for row, shape, offset in self._filed:
            start = offset // self.storage.itemsize
            self._maps[row] = flat[start : start + int(np.prod(shape))].reshape(shape)


def keep(
    model: NetworkDescriber,
    split: Split,
    paths: Sequence[str],
    *,
    storage: str = "float16",
    memory: float = 4e9,
    folder: str | None = None,
    workers: int | None = None,
) -> Frozen | None:
    """Run the photos once through the part below training; None where it cannot be cut off, or does not fit.

    memory: bytes to use; folder: where the rest goes. Without a folder nothing is kept unless everything fits.
    Raises NetvladError when the folder is full, or values are too large for the storage.
    """
    if split.below is None:
        return None
    frozen = Frozen(model, split, storage, memory, folder)
    photos = Photos(model, paths, workers=workers)
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
    frozen.close()
    return frozen


def _pooled(model: NetworkDescriber, maps: Tensor, alpha: Tensor | None) -> Tensor:
    maps = model.adjusted(maps)
    return model.pooling(maps, None if alpha is None else defined_locations(alpha, maps.shape[-2:]))
