"""What a training run reports about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from netvlad.training.config import Config


@dataclass
class Epoch:
    """One epoch.

    loss: mean loss of a query or batch. tuples: queries that had a violating triplet; violating: how many of these
    triplets. steps: of the optimizer. recall: recall@5 after the epoch, 0..1. seconds: stage -> seconds; wall: seconds
    of the whole epoch.
    """

    number: int
    lr: float
    refresh: int
    loss: float = 0.0
    tuples: int = 0
    violating: int = 0
    steps: int = 0
    recall: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0


@dataclass
class StepStats:
    """One optimizer step.

    loss: sum over the batch's queries. tuples: those with a violating triplet; violating: how many of these triplets.
    For a batch of places: the loss times their number, the places compared, and the pairs mined.
    """

    loss: float = 0.0
    tuples: int = 0
    violating: int = 0


@dataclass
class TrainerState:
    """Where a run stands: the `epoch`, its queries `done`, and `since` the last refresh (None: one is due)."""

    epoch: int = 1
    done: int = 0
    since: int | None = None


@dataclass
class Record:
    """The history of a training run.

    start: where in the backbone training starts. queries: how many were trained on; skipped: those without a positive
    or a negative; database: its photos. kept: where the frozen maps were, "in memory", "on disk" or "nowhere".
    recall: recall@5 before training, of `validated` queries. best: the epoch whose weights the model has; 0 is the
    start, before the first epoch ends and as long as none has a higher recall. stopped: why the run ended early, or "".
    unreadable: path -> reason.
    """

    config: Config
    start: str
    queries: int
    skipped: int
    database: int = 0
    kept: str = "nowhere"
    recall: float | None = None
    validated: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def best_recall(self) -> float | None:
        """recall@5 of the model as it is now, None without validation."""
        return self.epochs[self.best - 1].recall if self.best else self.recall

    def end(self, epoch: Epoch) -> bool:
        """Add an epoch that has ended; whether it is the best: without validation the last one is."""
        best = self.best_recall is None or epoch.recall is None or epoch.recall > self.best_recall
        self.epochs.append(epoch)
        if best:
            self.best = epoch.number
        return best

    @property
    def idle(self) -> str:
        """Why training is to end after the last epoch, "" where it is not: no query had a violating triplet."""
        if not self.epochs or self.epochs[-1].steps:
            return ""
        return (
            f"in epoch {len(self.epochs)} the loss stood at zero: these tuples have nothing left to teach; harder ones "
            f"come with a larger margin than {self.config.margin:g}, or with positives of other dates or light"
        )

    def progress(self) -> dict[str, Any]:
        """What changes during training, as JSON values; `restore` takes it back."""
        return {"recall": self.recall, "best": self.best, "epochs": [asdict(epoch) for epoch in self.epochs]}

    def restore(self, progress: dict[str, Any]) -> None:
        """Go on from what `progress` returned."""
        self.recall, self.best = progress["recall"], progress["best"]
        self.epochs = [Epoch(**epoch) for epoch in progress["epochs"]]

    def card(self) -> dict[str, Any]:
        """What the model card says of the training, with the best epoch's recall."""
        best = self.epochs[self.best - 1]
        facts = {"config": asdict(self.config), "database": self.database, "queries": self.queries}
        return {**facts, "epoch": best.number, "recall@5": best.recall}
