"""Training of a network describer (paper, section 4 and appendix A)."""

from __future__ import annotations

import time

import torch

from netvlad.describe.network import NetworkDescriber, evaluating
from netvlad.places import Places
from netvlad.runtime.progress import Advance, progress
from netvlad.training.checkpoint import Checkpoint
from netvlad.training.config import Config
from netvlad.training.losses import Diverged
from netvlad.training.network import TrainableNetwork
from netvlad.training.objective import make_objective
from netvlad.training.optimizer import (
    copies,
    make_optimizer,
    only_trainable,
    optimizer_state,
    put_back,
    restore_optimizer,
)
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.record import Epoch, Record, StepStats, TrainerState
from netvlad.training.run_folder import RunFolder, fingerprint
from netvlad.training.schedule import learning_rate
from netvlad.training.schema import flat
from netvlad.training.validation import NetworkValidation
from netvlad.types import IntArray


class Trainer:
    """Trains `model` in place, so that queries are nearer to their positives than to any definite negative.

    validation: another database and its queries, on which the best of the start and all epochs is chosen, the earlier
    of equals; without it the last epoch is kept. Training ends with an epoch in which there was nothing to learn.
    folder: where checkpoints, logs, curves and the best model go; None: nowhere. workers: processes that decode photos.
    The model stays in evaluation mode: the photos of a tuple are alike, and batch statistics would be theirs.
    Raises ModelError (no centres, whitened, nothing to train), PlacesError (no tuples).
    """

    def __init__(
        self,
        model: NetworkDescriber,
        database: Places,
        queries: Places,
        config: Config | None = None,
        validation: tuple[Places, Places] | None = None,
        *,
        folder: RunFolder | None = None,
        workers: int | None = None,
    ) -> None:
        self.config = config = config or Config()
        self.folder, self.data = folder, fingerprint(database, queries, *(validation or ()))
        rows = PhotoRows()  # the photos of all tables, those that are validated on last
        self.network = TrainableNetwork(model, config, rows.paths, workers)
        self.parameters = self.network.parameters
        self.optimizer = make_optimizer(self.parameters, config)
        self.objective = make_objective(self.network, database, queries, rows)
        self.record = Record(
            config, self.network.split.start, len(self.objective), self.objective.skipped, len(database)
        )
        self.validation = NetworkValidation(self.network, validation, rows) if validation else None
        self.record.validated = len(self.validation.query_rows) if self.validation else 0
        self.state, self.best = TrainerState(), copies(self.parameters)
        self.current, self.started = self._new_epoch(), time.perf_counter()
        self.since_save = 0
        self._advance: Advance = lambda n, note="": None

    def run(self, *, resume: bool = False) -> Record:
        """Train for all epochs, or with `resume` for those that are left by the checkpoint in the folder.

        However it ends, the model has the best weights so far, at first those it came with. Where a loss, a weight or
        a descriptor stops being finite, training ends and the record says why.
        Raises Diverged where that happens in the first epoch, NetvladError for another run's checkpoint.
        """
        model, config = self.network.model, self.config
        try:
            if config.channels_last:
                model.backbone.to(memory_format=torch.channels_last)
            with evaluating(model), only_trainable(model, self.parameters):
                self._run(resume)
        except Diverged as e:
            self.record.stopped = f"{e} of epoch {self.state.epoch}; lower the learning rate ({config.lr:g})"
            if not self.record.epochs:
                raise Diverged(f"{model.name}: {self.record.stopped}") from e
        finally:
            put_back(self.parameters, self.best)
            if self.folder:
                self.folder.close()
            if config.channels_last:
                model.backbone.to(memory_format=torch.contiguous_format)
        return self.record

    def _run(self, resume: bool) -> None:
        record, epochs = self.record, self.config.epochs
        self.network.open()
        record.kept = self.network.source.kept
        found = self.folder.checkpoint(flat(self.config), self.data) if self.folder and resume else None
        if found:
            self._restore(found)
        done = (self.state.epoch - 1) * record.queries + self.state.done
        quiet = self.network.devices.rank > 0
        with progress("training", epochs * record.queries, "queries", done=done, quiet=quiet) as self._advance:
            if not found:
                self.begin()
            while self.state.epoch <= epochs and not record.idle:
                self.epoch()
        record.stopped = record.idle

    def begin(self) -> None:
        """Before the first step: fill the cache and validate."""
        self._start_clock()
        if self.objective.stale(None, self.current.refresh):
            self.refresh(self.objective.order(1))
        self.objective.refuse_unreadable()
        self.record.recall = self.recall()
        self.save()
        if self.folder and self.validation:
            self.folder.save_model(self.network.model)  # the best so far

    def epoch(self) -> None:
        """Train on every usable query once, in random order, or on those that are left; then validate."""
        self._start_clock()
        state, epoch = self.state, self.current
        order = self.objective.order(state.epoch)
        while state.done < len(order):
            stale = self.objective.stale(state.since, epoch.refresh)
            every = self.config.checkpoint_every
            if self.since_save and (self.since_save >= every if every else stale):
                self.save()
            if stale:
                self.refresh(order)
            units = order[state.done : state.done + self.objective.batch].tolist()
            self.step(epoch, units)
            state.done, state.since = state.done + len(units), (state.since or 0) + len(units)
            self.since_save += len(units)
        self._end(epoch)

    def step(self, epoch: Epoch, units: list[int]) -> None:
        """One optimizer step on a batch of queries, or of places."""
        done, total = self.state.done, self.record.queries
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, epoch.number - 1 + done / total, len(units) / total)
        self.optimizer.zero_grad()
        try:
            stats = self.objective.backward(units, epoch.number)
        except Diverged as e:
            raise Diverged(f"{e} in batch {done // self.objective.batch + 1}") from e
        if stats.violating:
            with self.network.timed("backward"):
                self.optimizer.step()
            epoch.steps += 1
        epoch.loss += stats.loss
        epoch.tuples += stats.tuples
        epoch.violating += stats.violating
        self._report(epoch, stats, len(units))

    def _end(self, epoch: Epoch) -> None:
        record, state = self.record, self.state
        epoch.loss /= record.queries
        self.objective.refuse_unreadable()
        self._refuse_infinite()
        epoch.recall = self.recall()
        epoch.wall += time.perf_counter() - self.started
        record.unreadable = {self.network.paths[row]: reason for row, reason in self.network.unreadable.items()}
        best = record.end(epoch)
        if best:
            self.best = copies(self.parameters)
            self.network.model.fitted_on["training"] = record.card()
        state.epoch, state.done, state.since = epoch.number + 1, 0, None
        self.current = self._new_epoch()
        self._start_clock()
        self.save()
        if self.folder:
            if best:
                self.folder.save_model(self.network.model)
            self.folder.log_epoch(record)

    def refresh(self, order: IntArray) -> None:
        """Recompute the cached descriptors; order: the queries of this epoch."""
        state = self.state
        self.objective.refresh(state.epoch, order[state.done :], self.current.refresh, state.done)
        state.since = 0

    def recall(self) -> float | None:
        """recall@5 on the validation set, None without one."""
        return self.validation.recall() if self.validation else None

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it; never one with weights that are not finite."""
        now = time.perf_counter()
        self.current.wall += now - self.started
        self.started = now
        self._refuse_infinite()
        if self.folder:
            self.folder.save(self._checkpoint())
        self.since_save = 0

    def _checkpoint(self) -> Checkpoint:
        names = self.network.names
        return Checkpoint(
            settings=flat(self.config),
            data=self.data,
            state=self.state,
            epoch=self.current,
            progress=self.record.progress(),
            now=dict(zip(names, self.parameters, strict=True)),
            best=dict(zip(names, self.best, strict=True)) if self.record.best else {},
            optimizer=optimizer_state(self.optimizer, names),
            objective=self.objective.tensors(self.state.since),
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        names, record = self.network.names, self.record
        self.state = checkpoint.state
        record.restore(checkpoint.progress)
        self.current = checkpoint.epoch or self._new_epoch()
        if record.best:
            self.best = [checkpoint.best[name].clone() for name in names]
            self.network.model.fitted_on["training"] = record.card()
        if self.folder and (record.best or self.validation):
            put_back(self.parameters, self.best)  # a kill between the two files of the model leaves them of two epochs
            self.folder.save_model(self.network.model)
        self.objective.restore(checkpoint.objective)
        put_back(self.parameters, [checkpoint.now[name] for name in names])
        restore_optimizer(self.optimizer, names, checkpoint.optimizer)
        if self.folder:
            self.folder.write_log(record)

    def _new_epoch(self) -> Epoch:
        number, config = self.state.epoch, self.config
        return Epoch(number, learning_rate(config, number - 1, 1), config.refresh * 2 ** config.halvings(number))

    def _start_clock(self) -> None:
        self.network.seconds, self.started = self.current.seconds, time.perf_counter()

    def _report(self, epoch: Epoch, stats: StepStats, n: int) -> None:
        done = self.state.done + n
        self._advance(n, f"epoch {epoch.number}/{self.config.epochs}, loss {epoch.loss / done:.4f}")
        if self.folder:
            before = (epoch.number - 1) * self.record.queries
            self.folder.log_step(before + done, stats, n, self.optimizer.param_groups[0]["lr"])

    def _refuse_infinite(self) -> None:
        if not self.network.finite:
            raise Diverged(f"weights became NaN or infinite after {self.state.done} queries")
