"""Weakly supervised training of a network describer (paper, section 4 and appendix A)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from netvlad.describe.descriptor import NetworkDescriber, evaluating
from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.progress import progress
from netvlad.train.cache import Cache
from netvlad.train.config import Config, Epoch, Record
from netvlad.train.frozen import Batch, Frozen, Photos, keep
from netvlad.train.loss import Diverged, ranking_loss
from netvlad.train.split import split
from netvlad.train.trained import copies, make_optimizer, only_trainable, put_back, trained_parameters
from netvlad.train.tuples import Tuple, Tuples
from netvlad.train.validation import Validation


def train(
    model: NetworkDescriber,
    database: Places,
    queries: Places,
    config: Config | None = None,
    validation: tuple[Places, Places] | None = None,
    *,
    workers: int | None = None,
) -> Record:
    """Train `model`, changed in place, so that queries are nearer to their positives than to any definite negative.

    validation: another database and its queries, on which the best epoch is chosen; without it the last is kept.
    workers: processes that decode photos (default: as many as `decode_photos` takes). Batch normalisation keeps its
    statistics: the photos of a tuple were chosen to be alike, and their mean is not the world's.
    Where a loss, a weight or a descriptor stops being finite, training ends and the record says why; in the first
    epoch that is an error. However it ends, the model has the best weights so far, at first those it came with.
    Raises ModelError (no centres, whitened, nothing to train), PlacesError (no tuples), Diverged, NetvladError.
    """
    config = config or Config()
    training = Training(model, database, queries, config, validation, workers)
    with evaluating(model), only_trainable(model, training.parameters):
        record = training.run()
    model.fitted_on["training"] = {
        "config": asdict(config),
        "database": len(database),
        "queries": record.queries,
        "epoch": record.best,
        "recall@5": record.epochs[record.best - 1].recall,
    }
    return record


class Training:
    """One run: what it reads, what it learns from, and where it stands.

    Photos are known by their row in `paths`: the database, the usable queries, then what is validated on.
    """

    def __init__(
        self,
        model: NetworkDescriber,
        database: Places,
        queries: Places,
        config: Config,
        validation: tuple[Places, Places] | None = None,
        workers: int | None = None,
    ):
        self.model, self.config, self.workers = model, config, workers
        self.split = split(model.trunk, config.start)
        self.parameters = trained_parameters(model, self.split)
        self.optimizer = make_optimizer(self.parameters, config)
        self.tuples = Tuples(database, queries, config.mining, margin=config.margin, seed=config.seed)
        used = self.tuples.usable
        self.record = Record(config, self.split.start, len(used), len(queries) - len(used))
        self.row_of = np.full(len(queries), -1, np.int64)
        self.row_of[used] = len(database) + np.arange(len(used))
        self.paths = [*database.path, *queries.path[used]]
        self.trained_on = range(len(self.paths))
        self.validation = None
        if validation:
            held, asked = validation
            limits = {"radius": config.validation_radius, "limit": config.validation_queries}
            self.validation = Validation(held, asked, other_dates=config.other_dates, seed=config.seed, **limits)
            self.paths += [*held.path, *asked.path[self.validation.chosen]]
            self.held = range(len(self.trained_on), len(self.trained_on) + len(held))
        self.cache = Cache(len(self.trained_on), model.dim, memory=config.memory, folder=config.folder)
        self.source: Frozen | Photos | None = None
        self.seconds: dict[str, float] = {}

    def run(self) -> Record:
        """All epochs. The model ends with the best one's weights, however they end."""
        config, record = self.config, self.record
        best = copies(self.parameters)
        try:
            self.source = self._keep() or Photos(self.model, self.paths, workers=self.workers)
            record.kept = self.source.kept
            with progress("training", config.epochs * record.queries, "queries") as advance:
                self.refresh()
                self._refuse_unreadable()
                record.recall = self.recall()
                record.unreadable = {self.paths[row]: reason for row, reason in self.source.unreadable.items()}
                for number in range(1, config.epochs + 1):
                    epoch = self.epoch(number, advance)
                    record.epochs.append(epoch)
                    if not record.best or epoch.recall is None or epoch.recall > record.epochs[record.best - 1].recall:
                        best, record.best = copies(self.parameters), number
        except Diverged as e:
            record.stopped = f"{e} in epoch {len(record.epochs) + 1}; lower the learning rate ({config.lr:g})"
            if not record.best:
                raise Diverged(f"{self.model.name}: {record.stopped}") from e
        finally:
            put_back(self.parameters, best)
        return record

    def epoch(self, number: int, advance: Callable[[int], None]) -> Epoch:
        """Every usable query once, in random order; then the cache anew and recall@5."""
        config = self.config
        halvings = config.halvings(number)
        epoch = Epoch(number, config.lr * 0.5**halvings, config.refresh * 2**halvings)
        self.seconds = epoch.seconds
        for group in self.optimizer.param_groups:
            group["lr"] = epoch.lr
        order = self.tuples.order(number)
        since = 0
        for i in range(0, len(order), config.batch):
            if since >= epoch.refresh:
                self.refresh()
                since = 0
            batch = order[i : i + config.batch].tolist()
            self.step(epoch, batch)
            since += len(batch)
            advance(len(batch))
        epoch.loss /= len(order)
        if not all(torch.isfinite(p).all() for p in self.parameters):
            raise Diverged("weights became NaN or infinite")
        if number < config.epochs:
            self.refresh()
        epoch.recall = self.recall()
        return epoch

    def step(self, epoch: Epoch, queries: list[int]) -> None:
        """One batch of tuples: the gradient of all their violating triplets, divided by how many these are."""
        self.optimizer.zero_grad()
        violating = 0
        for query in queries:
            with self.timed("mining"):
                mined = self.mine(query, epoch.number)
            if mined is None:
                continue
            rows = [int(self.row_of[query]), mined.positive, *mined.negatives.tolist()]
            with self.timed("loading"):
                batches = list(self.source.take(rows))
            with self.timed("forward"):
                q, p, *n = self.vectors(batches, len(rows)).split([1, 1, len(rows) - 2])
                loss, count = ranking_loss(q[0], p, n[0], self.config.margin)
            if not count:  # they violated by the cached descriptors, and no longer do
                continue
            with self.timed("backward"):
                loss.backward()
            epoch.loss += loss.item()
            epoch.tuples += 1
            violating += count
        if not violating:
            return
        with self.timed("backward"):
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad /= violating
            self.optimizer.step()
        epoch.violating += violating
        epoch.steps += 1

    def mine(self, query: int, epoch: int) -> Tuple | None:
        row = int(self.row_of[query])
        return self.tuples.mine(query, epoch, lambda ids: self.cache.squared_distances(row, ids))

    # -- descriptors ----------------------------------------------------------------------------------------------

    def vectors(self, batches: Iterable[Batch], n: int) -> Tensor:
        """Descriptors (n, dim) of the n photos that were asked for, NaN where unreadable, with gradient."""
        out = torch.full((n, self.model.dim), float("nan"), device=self.model.device)
        for batch in batches:
            positions = torch.tensor(batch.positions, device=out.device)
            out = out.index_copy(0, positions, self.head(batch))
        return out

    def head(self, batch: Batch) -> Tensor:
        with self.autocast():
            return self.source.head(batch).float()

    @torch.no_grad()
    def refresh(self) -> None:
        """The descriptors of the whole training set, as the network makes them now."""
        with self.timed("cache"):
            for batch in self.source.take(self.trained_on):
                self.cache.set(batch.positions, self.head(batch))

    @torch.no_grad()
    def recall(self) -> float | None:
        """recall@5 on the validation set, None without one."""
        if self.validation is None:
            return None
        with self.timed("validation"):
            asked = range(self.held.stop, len(self.paths))
            queries = self.vectors(self.source.take(asked), len(asked))
            database = ((batch.positions, self.head(batch)) for batch in self.source.take(self.held))
            return self.validation.recall(queries, database)

    def _refuse_unreadable(self) -> None:
        bad = self.source.unreadable
        first = len(self.trained_on) - self.record.queries
        for what, rows in (("database photos", range(first)), ("queries", range(first, len(self.trained_on)))):
            if all(row in bad for row in rows):
                reason = f"{self.paths[rows[0]]}: {bad[rows[0]]}"
                raise NetvladError(f"none of the {len(rows)} {what} can be read, such as {reason}")

    def _keep(self) -> Frozen | None:
        config = self.config
        if not config.freeze:
            return None
        room = {"storage": config.storage, "memory": config.memory, "folder": config.folder}
        with self.autocast():
            return keep(self.model, self.split, self.paths, workers=self.workers, **room)

    def autocast(self):
        wanted = self.config.precision == "bfloat16"
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=wanted)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started
