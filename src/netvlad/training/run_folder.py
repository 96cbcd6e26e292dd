"""The folder of a run: settings, checkpoint, logs, curves, and the best model, ready for use."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from netvlad.describe.network import NetworkDescriber
from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.runtime.files import write_text
from netvlad.training import checkpoint
from netvlad.training.config import Config
from netvlad.training.curves import draw_curves
from netvlad.training.devices import EXTRA, Alone, Many
from netvlad.training.keys import flat
from netvlad.training.optimizer import copies, put_back
from netvlad.training.record import Lesson
from netvlad.training.settings import SETTINGS, write_settings

if TYPE_CHECKING:
    from netvlad.training.trainer import Training

CHECKPOINT = "checkpoint.safetensors"
START = "start"  # the model before training
PAIRS = "pairs.parquet"  # verified positives


class RunFolder:
    """`folder` of one run; of many processes the first alone writes. data: what `fingerprint` makes of the tables."""

    def __init__(self, folder: str | os.PathLike, devices: Alone | Many, data: str):
        self.folder, self.data, self.devices, self.writes = Path(folder), data, devices, devices.rank == 0
        self._board = None

    def begin(self, model: NetworkDescriber, config: Config, about: dict) -> None:
        """A new run: its settings, and the model that it starts from. Raises NetvladError where something is there."""
        if self.writes:
            refuse_taken(self.folder)
            model.save(self.folder / START)
            write_settings(self.folder, about, flat(config))
        self.devices.wait()

    def go_on(self) -> None:
        """Raises NetvladError where no run is there."""
        if not (self.folder / SETTINGS).is_file():
            raise NetvladError(f"{self.folder}: no run is there to resume (it would hold {SETTINGS})")
        if self.writes:
            for left in self.folder.glob(".*.tmp"):  # by a kill in the midst of writing
                left.unlink()

    # -- on the way -----------------------------------------------------------------------------------------------

    def save(self, training: Training) -> None:
        """A checkpoint."""
        if self.writes:
            checkpoint.write(self.folder / CHECKPOINT, training, self.data)
            if self._board:
                self._board.flush()

    def close(self) -> None:
        if self._board:
            self._board.close()

    def restore(self, training: Training) -> bool:
        """Take the run up from its checkpoint; False where it was stopped before the first.

        What a kill between two files of the model left behind is mended.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        checkpoint.restore(training, path, self.data)
        if training.record.best and self.writes:
            now = copies(training.parameters)
            put_back(training.parameters, training.best)
            self._save_model(training)
            put_back(training.parameters, now)
        self._log(training)
        return True

    def step(self, done: int, lesson: Lesson, n: int, lr: float) -> None:
        """One step in TensorBoard; done: queries learnt so far, the last n of them by this step."""
        if not self.writes:
            return
        board = self._open_board(done - n)
        board.add_scalar("step/loss", lesson.loss / n, done)
        board.add_scalar("step/violating_triplets", lesson.violating / n, done)
        board.add_scalar("step/learning_rate", lr, done)

    def epoch(self, training: Training, best: bool) -> None:
        """An epoch's end: the model where it is the best so far, a line in the log, the curves."""
        if not self.writes:
            return
        if best:
            self._save_model(training)
        self._log(training)
        epoch, queries = training.record.epochs[-1], training.record.queries
        board = self._open_board(epoch.number * queries)
        board.add_scalar("epoch/loss", epoch.loss, epoch.number)
        if epoch.recall is not None:
            board.add_scalar("epoch/recall@5", epoch.recall, epoch.number)
        for what, seconds in epoch.seconds.items():
            board.add_scalar(f"seconds/{what}", seconds, epoch.number)
        board.flush()

    def _log(self, training: Training) -> None:
        """The whole log each time: what a killed run wrote beyond its checkpoint goes."""
        record = training.record
        lines = [json.dumps({**asdict(e), "best": e.number == record.best}) + "\n" for e in record.epochs]
        if self.writes and lines:
            write_text(self.folder / "log.jsonl", "".join(lines))
            draw_curves(record, self.folder / "curves.png")

    def _save_model(self, training: Training) -> None:
        """model.safetensors and card.json, each whole; only between two renames can they be of two epochs."""
        model, new = training.network.model, self.folder / ".new"
        before = model.fitted_on.get("training")
        model.fitted_on["training"] = training.record.card()
        model.save(new)
        for name in ("model.safetensors", "card.json"):
            os.replace(new / name, self.folder / name)
        shutil.rmtree(new)
        if before is None:
            del model.fitted_on["training"]

    def _open_board(self, done: int):
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as e:
                raise NetvladError(f"the logs of a run need TensorBoard: {EXTRA}") from e
            # what a killed run logged beyond its checkpoint is not shown
            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=done + 1 if done else None)
        return self._board


def refuse_taken(folder: Path) -> None:
    """Raises NetvladError for a folder that holds something."""
    if (folder / SETTINGS).exists():
        raise NetvladError(f"{folder} holds a run already: --resume {folder} goes on with it; or choose another folder")
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {START, PAIRS}):
        raise NetvladError(f"{folder} is there already and is not empty: choose another folder for the run")


def fingerprint(*tables: Places) -> str:
    """Hex digest of the photos' names, positions, times and labels: not of their folders, so that data can move."""
    found = hashlib.blake2b(digest_size=16)
    for table in tables:
        names = "\n".join(os.path.basename(path) for path in table.path)
        found.update(f"{len(table)}\n{names}\n".encode(errors="surrogateescape"))
        for column in (table.xyz, table.time.astype("int64"), table.heading):
            found.update(column.tobytes())
        if (table.place != "").any():
            found.update("\n".join(table.place).encode(errors="surrogateescape"))
    return found.hexdigest()
