"""Weakly supervised training of a network describer (paper, section 4 and appendix A)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch

from netvlad.describe.descriptor import NetworkDescriber, evaluating
from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.train import checkpoint
from netvlad.train.cache import Cache
from netvlad.train.classes import Classes
from netvlad.train.config import Config
from netvlad.train.describing import Describing
from netvlad.train.devices import join
from netvlad.train.learn import Lesson, learn_places, learn_tuples
from netvlad.train.live import live
from netvlad.train.loss import Diverged
from netvlad.train.record import Epoch, Record
from netvlad.train.rows import Rows
from netvlad.train.run_folder import RunFolder, fingerprint
from netvlad.train.schedule import rate
from netvlad.train.split import split
from netvlad.train.trained import copies, make_optimizer, named, only_trainable, put_back, trained_parameters
from netvlad.train.tuples import Tuples
from netvlad.train.validation import Validation


def train(
    model: NetworkDescriber,
    database: Places,
    queries: Places,
    config: Config | None = None,
    validation: tuple[Places, Places] | None = None,
    *,
    run: str | os.PathLike | None = None,
    resume: bool = False,
    about: dict | None = None,
    workers: int | None = None,
) -> Record:
    """Train `model`, changed in place, so that queries are nearer to their positives than to any definite negative.

    validation: another database and its queries, on which the best epoch is chosen; without it the last is kept.
    run: a new folder for settings, checkpoints, logs, curves and the best model; resume: go on with the one that is
    there, given the same model, tables and settings. about: facts for the folder's config.yaml.
    workers: processes that decode photos (default: as many as `decode_photos` takes). Batch normalisation keeps its
    statistics: the photos of a tuple were chosen to be alike, and their mean is not the world's.
    Where a loss, a weight or a descriptor stops being finite, training ends and the record says why; in the first
    epoch that is an error. However it ends, the model has the best weights so far, at first those it came with.
    With loss "multi-similarity" database and queries together are grouped into places, and these are learnt.
    Raises ModelError (no centres, whitened, nothing to train), PlacesError (no tuples), Diverged, NetvladError.
    """
    config = config or Config()
    training = Training(model, database, queries, config, validation, workers)
    if run is not None:
        data = fingerprint(database, queries, *(validation or ()))
        training.folder = RunFolder(run, training.devices, data, config, resume=resume, about=about)
    memory = torch.channels_last if config.channels_last else torch.contiguous_format
    try:
        model.trunk.to(memory_format=memory)
        with evaluating(model), only_trainable(model, training.parameters):
            record = training.run(resume)
    finally:
        model.trunk.to(memory_format=torch.contiguous_format)
    if record.best:
        model.fitted_on["training"] = training.card()
    return record


@dataclass
class At:
    """Where a run stands: the `epoch`, its queries `done`, of these `since` the last refresh (None: one is due), and
    `block`: how many were done at that."""

    epoch: int = 1
    done: int = 0
    since: int | None = None
    block: int = 0


class Training:
    """One run: what it reads, what it learns from, and where it stands.

    Photos are known by their row in `rows.paths`: the database, the usable queries, then what is validated on.
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
        self.model, self.config, self.size = model, config, len(database)
        self.devices = join(config)
        model.to(self.devices.device)
        self.split = split(model.trunk, config.start, recompute=config.recompute)
        self.parameters = trained_parameters(model, self.split)
        self.names = named(model, self.parameters)
        self.optimizer = make_optimizer(self.parameters, config)
        self.rows = Rows()
        self._find_lessons(database, queries)
        self.trained_on = np.arange(len(self.rows))
        self.validation = None
        if validation:
            held, asked = validation
            limits = {"radius": config.validation_radius, "limit": config.validation_queries}
            self.validation = Validation(held, asked, other_dates=config.other_dates, seed=config.seed, **limits)
            self.held = self.rows.add(held.path)
            self.asked = self.rows.add(asked.path[self.validation.chosen])
        self.describing = Describing(model, self.split, config, self.rows.paths, workers)
        self.at, self.current, self.best = At(), None, copies(self.parameters)
        self.refreshed, self.at_refresh = self.trained_on, []  # the rows described last, and with which weights
        self.folder: RunFolder | None = None
        self.seconds: dict[str, float] = {}

    def _find_lessons(self, database: Places, queries: Places) -> None:
        config = self.config
        if config.loss == "multi-similarity":
            both = Places.concat([database, queries[~np.isin(queries.path, database.path)]])
            self.classes = Classes(both, config)
            self.rows.add(both.path)
            self.record = Record(config, self.split.start, len(self.classes), self.classes.skipped)
            return
        self.classes = None
        self.tuples = Tuples(database, queries, config.mining, margin=config.margin, seed=config.seed)
        used = self.tuples.usable
        self.record = Record(config, self.split.start, len(used), len(queries) - len(used))
        self.database_rows = self.rows.add(database.path)
        self.row_of = np.full(len(queries), -1, np.int64)
        self.row_of[used] = self.rows.add(queries.path[used])
        self.cache = Cache(len(self.rows), self.model.dim, memory=config.memory, folder=config.folder)

    def run(self, resume: bool = False) -> Record:
        """All epochs, or those that are left. The model ends with the best one's weights, however they end."""
        config, record = self.config, self.record
        try:
            self.describing.open()
            record.kept = self.describing.source.kept
            if resume:
                checkpoint.restore(self)
            total = config.epochs * record.queries
            with live(total, (self.at.epoch - 1) * record.queries + self.at.done, self.devices.rank) as self.tell:
                if self.at == At() and not resume:
                    self.begin()
                while self.at.epoch <= config.epochs:
                    self.epoch()
        except Diverged as e:
            record.stopped = f"{e}; lower the learning rate ({config.lr:g})"
            if not record.best:
                raise Diverged(f"{self.model.name}: {record.stopped}") from e
        finally:
            put_back(self.parameters, self.best)
        return record

    def begin(self) -> None:
        """What is known before the first step."""
        if self.classes is None:
            self.refresh(self.tuples.order(1))
            self._refuse_unreadable()
            self.at.since = 0
        self.record.recall = self.recall()
        self.save()

    def epoch(self) -> None:
        """Every usable query once, in random order, or what is left of them; then recall@5."""
        config, at = self.config, self.at
        halvings = config.halvings(at.epoch)
        epoch = self.current
        if epoch is None:
            epoch = Epoch(at.epoch, rate(config, at.epoch - 1, 1), config.refresh * 2**halvings)
            self.current = epoch
        self.seconds, self.started = epoch.seconds, time.perf_counter()
        lessons = self.classes if self.classes is not None else self.tuples
        order = lessons.order(at.epoch)
        batch = config.batch if self.classes is None else config.places
        unsaved = 0
        while at.done < len(order):
            due = self.classes is None and (at.since is None or at.since >= epoch.refresh)
            if unsaved and (unsaved >= config.checkpoint_every if config.checkpoint_every else due):
                self.save()
                unsaved = 0
            if due:
                self.refresh(order[at.done :])
                at.since, at.block = 0, at.done
            part = order[at.done : at.done + batch].tolist()
            self.step(epoch, part, len(order))
            at.done, at.since, unsaved = at.done + len(part), (at.since or 0) + len(part), unsaved + len(part)
        self._end(epoch, len(order))

    def _end(self, epoch: Epoch, n: int) -> None:
        record = self.record
        epoch.loss /= n
        self._refuse_infinite()
        epoch.recall = self.recall()
        epoch.wall += time.perf_counter() - self.started
        record.epochs.append(epoch)
        record.unreadable = {self.rows.paths[row]: reason for row, reason in self.describing.unreadable.items()}
        best = not record.best or epoch.recall is None or epoch.recall > record.epochs[record.best - 1].recall
        if best:
            self.best, record.best = copies(self.parameters), epoch.number
        self.at, self.current = At(epoch.number + 1), None
        self.save()
        if self.folder:
            self.folder.epoch(self, best)

    def step(self, epoch: Epoch, units: list[int], total: int) -> None:
        """One batch: queries whose tuples are learnt, or places."""
        at, config = self.at, self.config
        done = epoch.number - 1 + at.done / total
        for group in self.optimizer.param_groups:
            group["lr"] = rate(config, done, len(units) / total)
        self.optimizer.zero_grad()
        try:
            lesson = (learn_tuples if self.classes is None else learn_places)(self, epoch, units)
        except Diverged as e:
            raise Diverged(f"{e} in epoch {epoch.number}, batch {at.done // len(units) + 1}") from e
        with self.timed("backward"):
            if lesson.violating:
                self.optimizer.step()
                epoch.steps += 1
        epoch.loss += lesson.loss
        epoch.tuples += lesson.tuples
        epoch.violating += lesson.violating
        self._show(epoch, lesson, len(units))

    def _show(self, epoch: Epoch, lesson: Lesson, n: int) -> None:
        done = self.at.done + n
        self.tell(
            n,
            f"epoch {epoch.number}/{self.config.epochs}, loss {epoch.loss / done:.4f}, "
            f"{epoch.violating / done:.1f} violating triplets a query",
        )
        if self.folder:
            self.folder.step(
                (epoch.number - 1) * self.record.queries + done, lesson, n, self.optimizer.param_groups[0]["lr"]
            )

    # -- descriptors ----------------------------------------------------------------------------------------------

    def refresh(self, queries: np.ndarray) -> None:
        """The cached descriptors anew, as the network makes them now: all, or what the next of `queries` will need."""
        self.refreshed = self.trained_on
        if self.config.cache == "partial":
            batch = self.config.batch
            interval = self.config.refresh * 2 ** self.config.halvings(self.at.epoch)
            block = queries[: -(-interval // batch) * batch]
            database = self.tuples.needed(block, self.at.epoch, self.at.done)
            self.refreshed = np.unique(np.concatenate([self.database_rows[database], self.row_of[block]]))
        self.at_refresh = copies(self.parameters)
        self.describe_again()

    def describe_again(self) -> None:
        with self.timed("cache"):
            self.describing.fill(self.cache, self.refreshed, self.devices)

    @torch.no_grad()
    def recall(self) -> float | None:
        """recall@5 on the validation set, None without one."""
        if self.validation is None:
            return None
        with self.timed("validation"):
            take, head = self.describing.source.take, self.describing.head
            queries = self.describing.vectors(take(self.asked.tolist()), len(self.asked))
            database = ((batch.positions, head(batch)) for batch in take(self.held.tolist()))
            found = self.validation.recall(queries, database)
            # one process decides for all which epoch is best
            share = torch.tensor([found if self.devices.rank == 0 else 0.0], dtype=torch.float64)
            return float(self.devices.total(share))

    # -- what else ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        if self.current:
            now = time.perf_counter()
            self.current.wall += now - self.started
            self.started = now
        self._refuse_infinite()
        if self.folder:
            self.folder.save(self)

    def card(self) -> dict:
        """What the model's card says of its training."""
        best = self.record.epochs[self.record.best - 1]
        facts = {"config": asdict(self.config), "database": self.size, "queries": self.record.queries}
        return {**facts, "epoch": best.number, "recall@5": best.recall}

    def _refuse_infinite(self) -> None:
        if not all(torch.isfinite(p).all() for p in self.parameters):
            raise Diverged(f"weights became NaN or infinite in epoch {self.at.epoch}, after {self.at.done} queries")

    def _refuse_unreadable(self) -> None:
        bad = self.describing.unreadable
        queries = self.row_of[self.row_of >= 0]
        for what, rows in (("database photos", self.database_rows), ("queries", queries)):
            if all(row in bad for row in rows.tolist()):
                reason = f"{self.rows.paths[rows[0]]}: {bad[rows[0]]}"
                raise NetvladError(f"none of the {len(rows)} {what} can be read, such as {reason}")

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started
