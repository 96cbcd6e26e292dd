"""Training of a network describer (paper, section 4 and appendix A)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import torch

from netvlad.describe.network import NetworkDescriber, evaluating
from netvlad.places import Places
from netvlad.runtime.progress import progress
from netvlad.training.config import Config
from netvlad.training.contrast import Contrast
from netvlad.training.loss import Diverged
from netvlad.training.network import Network
from netvlad.training.optimizer import copies, make_optimizer, only_trainable, put_back
from netvlad.training.ranking import Ranking
from netvlad.training.record import At, Epoch, Lesson, Record
from netvlad.training.rows import Rows
from netvlad.training.run_folder import PAIRS, RunFolder, fingerprint
from netvlad.training.schedule import rate
from netvlad.training.similarity import Similarity
from netvlad.training.validation import Validation


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
    if run is not None and config.mining.positives == "verified" and config.mining.confirmed is None:
        config = replace(config, mining=replace(config.mining, confirmed=str(Path(run) / PAIRS)))
    training = Training(model, database, queries, config, validation, workers)
    if run is not None:
        data = fingerprint(database, queries, *(validation or ()))
        training.folder = RunFolder(run, training.network.devices, data)
        training.folder.go_on() if resume else training.folder.begin(model, config, about or {})
    try:
        if config.channels_last:
            model.backbone.to(memory_format=torch.channels_last)
        with evaluating(model), only_trainable(model, training.network.parameters):
            record = training.run(resume)
    finally:
        if config.channels_last:
            model.backbone.to(memory_format=torch.contiguous_format)
    if record.best:
        model.fitted_on["training"] = record.card()
    return record


class Training:
    """One run: what it reads, what it learns from, and where it stands.

    Photos are known by their row in `rows.paths`: those that are learnt from, then those that are validated on.
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
        self.config = config
        self.rows = Rows()
        self.network = Network(model, config, self.rows.paths, workers)
        self.parameters = self.network.parameters
        self.optimizer = make_optimizer(self.parameters, config)
        kind = {"ranking": Ranking, "softmax": Contrast, "multi-similarity": Similarity}[config.loss]
        self.lessons = kind(self.network, database, queries, self.rows)
        self.record = Record(config, self.network.split.start, len(self.lessons), self.lessons.skipped, len(database))
        self.validation = None
        if validation:
            held, asked = validation
            limits = {"radius": config.validation_radius, "limit": config.validation_queries}
            self.validation = Validation(held, asked, other_dates=config.other_dates, seed=config.seed, **limits)
            self.held, self.asked = self.rows.add(held.path), self.rows.add(asked.path[self.validation.chosen])
        self.at, self.best = At(), copies(self.parameters)
        self.current: Epoch | None = None
        self.folder: RunFolder | None = None
        self.since_save = 0

    def run(self, resume: bool = False) -> Record:
        """All epochs, or those that are left. The model ends with the best one's weights, however they end."""
        config, record = self.config, self.record
        try:
            self.network.open()
            record.kept = self.network.source.kept
            resumed = resume and self.folder is not None and self.folder.restore(self)
            done = (self.at.epoch - 1) * record.queries + self.at.done
            total, quiet = config.epochs * record.queries, self.network.devices.rank > 0
            with progress("training", total, "queries", done=done, quiet=quiet) as self.tell:
                if not resumed:
                    self.begin()
                while self.at.epoch <= config.epochs:
                    self.epoch()
        except Diverged as e:
            record.stopped = f"{e} of epoch {self.at.epoch}; lower the learning rate ({config.lr:g})"
            if not record.best:
                raise Diverged(f"{self.network.model.name}: {record.stopped}") from e
        finally:
            put_back(self.parameters, self.best)
            if self.folder:
                self.folder.close()
        return record

    def begin(self) -> None:
        """What is known before the first step."""
        epoch = self._timing()
        order = self.lessons.order(1)
        if self.lessons.stale(None, epoch.refresh):
            self.refresh(order)
        self.lessons.refuse_unreadable()
        self.record.recall = self.recall()
        self.save()

    def epoch(self) -> None:
        """Every usable query once, in random order, or what is left of them; then recall@5."""
        at, epoch = self.at, self._timing()
        order = self.lessons.order(at.epoch)
        while at.done < len(order):
            stale = self.lessons.stale(at.since, epoch.refresh)
            self._save_if_due(stale)
            if stale:
                self.refresh(order)
            units = order[at.done : at.done + self.lessons.batch].tolist()
            self.step(epoch, units)
            at.done, at.since = at.done + len(units), (at.since or 0) + len(units)
            self.since_save += len(units)
        self._end(epoch)

    def step(self, epoch: Epoch, units: list[int]) -> None:
        """One batch: queries whose tuples are learnt, or places."""
        at, total = self.at, self.record.queries
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.config, epoch.number - 1 + at.done / total, len(units) / total)
        self.optimizer.zero_grad()
        try:
            lesson = self.lessons.learn(units, epoch.number)
        except Diverged as e:
            raise Diverged(f"{e} in batch {at.done // self.lessons.batch + 1}") from e
        if lesson.violating:
            with self.network.timed("backward"):
                self.optimizer.step()
            epoch.steps += 1
        epoch.loss += lesson.loss
        epoch.tuples += lesson.tuples
        epoch.violating += lesson.violating
        self._show(epoch, lesson, len(units))

    def _end(self, epoch: Epoch) -> None:
        record = self.record
        epoch.loss /= record.queries
        self.lessons.refuse_unreadable()
        self._refuse_infinite()
        epoch.recall = self.recall()
        epoch.wall += time.perf_counter() - self.started
        record.epochs.append(epoch)
        record.unreadable = {self.rows.paths[row]: reason for row, reason in self.network.unreadable.items()}
        best = not record.best or epoch.recall is None or epoch.recall > record.epochs[record.best - 1].recall
        if best:
            self.best, record.best = copies(self.parameters), epoch.number
        self.at, self.current = At(epoch.number + 1), None
        self.save()
        if self.folder:
            self.folder.epoch(self, best)

    def refresh(self, order) -> None:
        """The cached descriptors anew; `order`: the queries of this epoch."""
        at = self.at
        self.lessons.refresh(at.epoch, order[at.done :], self.current.refresh, at.done)
        at.since = 0

    @torch.no_grad()
    def recall(self) -> float | None:
        """recall@5 on the validation set, None without one."""
        if self.validation is None:
            return None
        network = self.network
        with network.timed("validation"):
            queries = network.vectors(network.source.take(self.asked.tolist()), len(self.asked))
            database = ((b.positions, network.head(b)) for b in network.source.take(self.held.tolist()))
            found = self.validation.recall(queries, database)
            # one process decides for all which epoch is best
            share = torch.tensor([found if network.devices.rank == 0 else 0.0], dtype=torch.float64)
            return float(network.devices.total(share))

    # -- records --------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint, if there is a folder for it; never one of weights that are not finite."""
        if self.current:
            now = time.perf_counter()
            self.current.wall += now - self.started
            self.started = now
        self._refuse_infinite()
        if self.folder:
            self.folder.save(self)
        self.since_save = 0

    def _save_if_due(self, stale: bool) -> None:
        every = self.config.checkpoint_every
        if self.since_save and (self.since_save >= every if every else stale):
            self.save()

    def _timing(self) -> Epoch:
        """The current epoch, its clock running."""
        if self.current is None:
            number, config = self.at.epoch, self.config
            self.current = Epoch(number, rate(config, number - 1, 1), config.refresh * 2 ** config.halvings(number))
        self.network.seconds, self.started = self.current.seconds, time.perf_counter()
        return self.current

    def _show(self, epoch: Epoch, lesson: Lesson, n: int) -> None:
        done = self.at.done + n
        text = f"epoch {epoch.number}/{self.config.epochs}, loss {epoch.loss / done:.4f}, "
        self.tell(n, text + f"{epoch.violating / done:.1f} violating triplets a query")
        if self.folder:
            before = (epoch.number - 1) * self.record.queries
            self.folder.step(before + done, lesson, n, self.optimizer.param_groups[0]["lr"])

    def _refuse_infinite(self) -> None:
        if not self.network.finite:
            raise Diverged(f"weights became NaN or infinite after {self.at.done} queries")
