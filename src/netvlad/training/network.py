"""The network in training: which of its parameters learn, and what it makes of the run's photos now."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.network import NetworkDescriber
from netvlad.training.cache import Cache
from netvlad.training.config import Config
from netvlad.training.devices import join
from netvlad.training.frozen import Batch, Frozen, Photos, keep
from netvlad.training.jitter import jitterer
from netvlad.training.loss import Diverged
from netvlad.training.optimizer import named, trained_parameters
from netvlad.training.record import Lesson
from netvlad.training.split import split

AT_ONCE = 256  # rows that each of many processes describes before they exchange them


class Network:
    """Takes photos, by their row in `paths`, from the maps of the frozen layers where these are kept, else from the
    files. `seconds`: what took how long.

    A photo that is to be changed first (jitter) always comes from its file.
    """

    def __init__(self, model: NetworkDescriber, config: Config, paths: Sequence[str], workers: int | None):
        self.model, self.config, self.paths, self.workers = model, config, paths, workers
        self.devices = join(config.device)
        model.to(self.devices.device)
        self.split = split(model.backbone, config.start, recompute=config.recompute)
        self.parameters = trained_parameters(model, self.split)
        self.names = named(model, self.parameters)
        self.files = Photos(model, paths, self.split, workers=workers)
        self.source: Frozen | Photos = self.files
        self.seconds: dict[str, float] = {}
        if self.devices.world > 1:
            self._as_the_first()

    @torch.no_grad()
    def _as_the_first(self) -> None:
        for tensor in self.model.state_dict().values():
            tensor.copy_(self.devices.total(tensor if self.devices.rank == 0 else torch.zeros_like(tensor)))

    def open(self) -> None:
        """Run the frozen layers, where what they make is to be kept and can be."""
        config = self.config
        if config.freeze:
            room = {"storage": config.storage, "memory": config.memory, "folder": config.folder}
            with self.autocast():
                self.source = keep(self.model, self.split, self.paths, workers=self.workers, **room) or self.files

    @property
    def unreadable(self) -> dict[int, str]:
        return self.source.unreadable | self.files.unreadable

    @property
    def finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.parameters)

    # -- descriptors ----------------------------------------------------------------------------------------------

    def take_to_learn(self, rows: Sequence[int], epoch: int, unit: int) -> list[Batch]:
        """The photos at `rows` (none twice), without those that cannot be read, jittered if that is wanted.

        unit: the query, or whatever the draws are to depend on besides the seed and the epoch.
        """
        config = self.config
        if config.jitter.any:
            return list(self.files.take_few(rows, jitterer(config.jitter, config.seed, epoch, unit)))
        return list(self.files.take_few(rows) if self.source is self.files else self.source.take(rows))

    def vectors(self, batches: Iterable[Batch], n: int) -> Tensor:
        """Descriptors (n, dim) of the n photos that were asked for, NaN where unreadable, with gradient."""
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
    def fill(self, cache: Cache, rows: np.ndarray) -> None:
        """Set these rows of the cache, each of many processes describing its share."""
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
                found[mine[batch.positions], -1] = 1  # it could be read
            found = devices.total(found).cpu()
            readable = found[:, -1] > 0
            cache.set(part[readable.numpy()], found[readable, :-1])

    # -- gradients ------------------------------------------------------------------------------------------------

    def learn_from(self, loss: Tensor, mine: int, terms: int, units: int) -> Lesson:
        """The gradient of the mean of all processes' losses. mine: how many of the batch's `units` are this process's;
        terms: of the loss; none, no gradient of it. Raises Diverged for a loss that is not finite."""
        world = self.devices.world
        if terms:
            with self.timed("backward"):
                (loss / world).backward()
        counts = torch.tensor([loss.item() / world, mine, terms], dtype=torch.float64)
        mean, learnt, terms = self.devices.total(counts).tolist()
        if not math.isfinite(mean):
            raise Diverged(f"the loss is {mean}")
        with self.timed("backward"):
            self.add_gradients()
        return Lesson(mean * units, int(learnt), int(terms))

    def add_gradients(self) -> None:
        """The sum of all processes' gradients in each of them."""
        if self.devices.world == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        total = self.devices.total(torch.cat([g.flatten() for g in gradients]))
        for parameter, part in zip(self.parameters, total.split([g.numel() for g in gradients]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def autocast(self):
        wanted = self.config.precision == "bfloat16"
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=wanted)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started
