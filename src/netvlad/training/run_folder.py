"""The folder of a run: settings, checkpoint, logs, curves, and the best model, ready for use."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.runtime.files import write_text
from netvlad.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netvlad.training.config import RENAMED
from netvlad.training.curves import draw_curves
from netvlad.training.devices import EXTRA
from netvlad.training.record import Epoch, Record, StepStats
from netvlad.training.settings import SETTINGS, refuse_missing, write_settings
from netvlad.types import Saveable

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CHECKPOINT = "checkpoint.safetensors"
START = "start"  # the model before training
PAIRS = "pairs.parquet"  # verified positives
FREE = ("checkpoint_every", "folder", "device", "confirmed")  # settings that change no result


class RunFolder:
    """The folder of one run. writes: whether this process writes; of several processes only the first one does."""

    def __init__(self, folder: str | os.PathLike[str], *, writes: bool = True) -> None:
        self.folder, self.writes = Path(folder), writes
        self._board: SummaryWriter | None = None

    def begin(self, model: Saveable, settings: dict[str, Any], about: Mapping[str, Any]) -> None:
        """Begin a run with the model it starts from and its settings. Raises NetvladError for a folder in use."""
        if self.writes:
            refuse_taken(self.folder)
            model.save(self.folder / START)
            write_settings(self.folder, dict(about), settings)

    def go_on(self) -> None:
        """Prepare to go on with the run. Raises NetvladError where there is none."""
        refuse_missing(self.folder)
        if self.writes:
            for left in self.folder.glob(".*.tmp"):  # a kill during a write leaves one
                left.unlink()

    # -- while it runs --------------------------------------------------------------------------------------------

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint."""
        if self.writes:
            write_checkpoint(self.folder / CHECKPOINT, checkpoint)
            if self._board:
                self._board.flush()

    def checkpoint(self, settings: Mapping[str, Any], data: str) -> Checkpoint | None:
        """The last checkpoint; None for a run that stopped before the first.

        Raises NetvladError where it cannot be read, or settings or tables are not those of the run.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        found = read_checkpoint(path)
        was = {RENAMED.get(key, key): value for key, value in found.settings.items()}
        differs = [f"{k} {was.get(k)}, not {v}" for k, v in settings.items() if k not in FREE and was.get(k) != v]
        if differs:
            raise NetvladError(f"{self.folder} was begun with {'; '.join(differs)}: start another run for that")
        if found.data != data:
            raise NetvladError(f"{self.folder} was begun with other photos or positions: the tables have changed since")
        return found

    def log_step(self, done: int, stats: StepStats, n: int, lr: float) -> None:
        """One step in TensorBoard; done: queries trained on so far, the last n of them in this step."""
        if not self.writes:
            return
        board = self._open_board(done - n)
        board.add_scalar("step/loss", stats.loss / n, done)
        board.add_scalar("step/violating_triplets", stats.violating / n, done)
        board.add_scalar("step/learning_rate", lr, done)

    def log_epoch(self, record: Record) -> None:
        """The end of an epoch: a line in the log, the curves, TensorBoard."""
        if not self.writes:
            return
        self.write_log(record)
        epoch: Epoch = record.epochs[-1]
        board = self._open_board(epoch.number * record.queries)
        board.add_scalar("epoch/loss", epoch.loss, epoch.number)
        if epoch.recall is not None:
            board.add_scalar("epoch/recall@5", epoch.recall, epoch.number)
        for stage, seconds in epoch.seconds.items():
            board.add_scalar(f"seconds/{stage}", seconds, epoch.number)
        board.flush()

    def write_log(self, record: Record) -> None:
        """Write the whole log and the curves; lines that a killed run wrote beyond its checkpoint vanish."""
        lines = [json.dumps({**asdict(e), "best": e.number == record.best}) + "\n" for e in record.epochs]
        if self.writes and lines:
            write_text(self.folder / "log.jsonl", "".join(lines))
            draw_curves(record, self.folder / "curves.png")

    def save_model(self, model: Saveable) -> None:
        """Write model.safetensors and card.json; only a kill between the two renames leaves them of two epochs."""
        if not self.writes:
            return
        new = self.folder / ".new"
        model.save(new)
        for name in ("model.safetensors", "card.json"):
            os.replace(new / name, self.folder / name)
        shutil.rmtree(new)

    def close(self) -> None:
        if self._board:
            self._board.close()

    def _open_board(self, done: int) -> SummaryWriter:
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as e:
                raise NetvladError(f"the logs of a run need TensorBoard: {EXTRA}") from e
            # steps that a killed run logged beyond its checkpoint are not shown
            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=done + 1 if done else None)
        return self._board


def refuse_taken(folder: Path) -> None:
    """Raises NetvladError for a folder that a new run cannot use."""
    if (folder / SETTINGS).exists():
        raise NetvladError(f"{folder} holds a run already: --resume {folder} goes on with it; or choose another folder")
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {START, PAIRS}):
        raise NetvladError(f"{folder} is there already and is not empty: choose another folder for the run")


def fingerprint(*tables: Places) -> str:
    """Hex digest of the photos' names, positions, times and labels, not of their folders: data can move."""
    found = hashlib.blake2b(digest_size=16)
    for table in tables:
        names = "\n".join(os.path.basename(path) for path in table.path)
        found.update(f"{len(table)}\n{names}\n".encode(errors="surrogateescape"))
        for column in (table.xyz, table.time.astype("int64"), table.heading):
            found.update(column.tobytes())
        if (table.place != "").any():
            found.update("\n".join(table.place).encode(errors="surrogateescape"))
    return found.hexdigest()
