"""The network in training: its trained parameters, and its descriptors of the run's photos."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.network import NetworkDescriber
from netvlad.errors import NetvladError
from netvlad.training.config import Config
from netvlad.training.descriptor_cache import DescriptorCache
from netvlad.training.devices import join
from netvlad.training.frozen_maps import Batch, FrozenMaps, PhotoLoader, compute_frozen_maps
from netvlad.training.jitter import jitterer
from netvlad.training.losses import Diverged
from netvlad.training.optimizer import named, trained_parameters
from netvlad.training.record import StepStats
from netvlad.training.split import split
from netvlad.types import IntArray

AT_ONCE = 256  # rows that each process describes before they exchange them


class TrainableNetwork:
    """Describes photos, given by their row in `paths`, from kept maps of the frozen layers, or else from the files.

    Jittered photos always come from their files. seconds: stage -> seconds.
    """

    def __init__(self, model: NetworkDescriber, config: Config, paths: Sequence[str], workers: int | None) -> None:
        self.model, self.config, self.paths, self.workers = model, config, paths, workers
        self.devices = join(config.device)
        model.to(self.devices.device)
        self.split = split(model.backbone, config.start, recompute=config.recompute)
        self.parameters = trained_parameters(model, self.split)
        self.names = named(model, self.parameters)
        self.files = PhotoLoader(model, paths, self.split, workers=workers)
        self.source: FrozenMaps | PhotoLoader = self.files
        self.seconds: dict[str, float] = {}
        if self.devices.world > 1:
            self._broadcast()

    @torch.no_grad()
    def _broadcast(self) -> None:
        """Give all processes the weights of the first."""
        for tensor in self.model.state_dict().values():
            tensor.copy_(self.devices.total(tensor if self.devices.rank == 0 else torch.zeros_like(tensor)))

    def open(self) -> None:
        """Run the frozen layers on all photos, where their maps are to be kept and can be."""
        config = self.config
        if config.freeze:
            with self.autocast():
                kept = compute_frozen_maps(
                    self.model,
                    self.split,
                    self.paths,
                    storage=config.storage,
                    memory=config.memory,
                    folder=config.folder,
                    workers=self.workers,
                )
            self.source = kept or self.files

    @property
    def unreadable(self) -> dict[int, str]:
        return self.source.unreadable | self.files.unreadable

    @property
    def finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.parameters)

    # -- descriptors ----------------------------------------------------------------------------------------------

    def training_batches(self, rows: Sequence[int], epoch: int, unit: int) -> list[Batch]:
        """The photos at `rows` (none twice), without those that cannot be read, jittered as configured.

        unit: the query, or another number that the draws depend on besides the seed and the epoch.
        """
        config = self.config
        if config.jitter.any:
            return list(self.files.take_few(rows, jitterer(config.jitter, config.seed, epoch, unit)))
        return list(self.files.take_few(rows) if self.source is self.files else self.source.take(rows))

    def vectors(self, batches: Iterable[Batch], n: int) -> Tensor:
        """Descriptors (n, dim) of the batches of n photos, NaN for unreadable ones, with gradient."""
        out = torch.full((n, self.model.dim), float("nan"), device=self.model.device)
        for batch in batches:
            positions = torch.tensor(batch.positions, device=out.device)
            out = out.index_copy(0, positions, self.head(batch))
        return out

    def head(self, batch: Batch) -> Tensor:
        """Descriptors of one batch."""
        source = self.source if batch.kept else self.files
        with self.autocast():
            return source.head(batch).float()

    @torch.no_grad()
    def fill(self, cache: DescriptorCache, rows: IntArray) -> None:
        """Set these rows of the cache; each process describes its share."""
        devices = self.devices
        if devices.world == 1:
            for batch in self.source.take(rows.tolist()):
                cache.set(rows[batch.positions], self.head(batch))
            return
        for start in range(0, len(rows), AT_ONCE * devices.world):
            part = rows[start : start + AT_ONCE * devices.world]
            mine = np.arange(len(part))[devices.rank :: devices.world]
            found = torch.zeros(len(part), self.model.dim + 1, device=self.model.device)
            for batch in self.source.take(part[mine].tolist()):
                found[mine[batch.positions], :-1] = self.head(batch)
                found[mine[batch.positions], -1] = 1  # readable
            found = devices.total(found).cpu()
            readable = found[:, -1] > 0
            cache.set(part[readable.numpy()], found[readable, :-1])

    def refuse_unreadable(self, what: str, rows: IntArray) -> None:
        """Raises NetvladError where none of the photos at `rows` can be read; what: their name in the message."""
        bad = self.unreadable
        if all(row in bad for row in rows.tolist()):
            first = rows[0]
            raise NetvladError(f"none of the {len(rows)} {what} can be read, such as {self.paths[first]}: {bad[first]}")

    # -- gradients ------------------------------------------------------------------------------------------------

    def backward_mean(self, loss: Tensor, mine: int, terms: int, units: int) -> StepStats:
        """Set the gradient of the mean of all processes' losses.

        mine: how many of the batch's `units` are this process's. terms: of the loss; without any it has no gradient.
        Raises Diverged for a loss that is not finite.
        """
        world = self.devices.world
        if terms:
            with self.timed("backward"):
                (loss / world).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        counts = torch.tensor([loss.item() / world, mine, terms], dtype=torch.float64)
        mean, used, terms = self.devices.total(counts).tolist()
        if not math.isfinite(mean):
            raise Diverged(f"the loss is {mean}")
        with self.timed("backward"):
            self.add_gradients()
        return StepStats(mean * units, int(used), int(terms))

    def add_gradients(self) -> None:
        """Sum the gradients of all processes, in each of them."""
        if self.devices.world == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        total = self.devices.total(torch.cat([g.flatten() for g in gradients]))
        for parameter, part in zip(self.parameters, torch.split(total, [g.numel() for g in gradients]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def autocast(self) -> torch.autocast:
        """The context of the forward pass in the configured precision."""
        wanted = self.config.precision == "bfloat16"
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=wanted)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started
