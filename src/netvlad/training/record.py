"""What a training run tells of itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from netvlad.training.config import Config


@dataclass
class Epoch:
    """One epoch: loss: the mean of a query's (or batch's) loss; tuples: queries that had a violating triplet,
    `violating` of these in all; steps: of the optimiser; recall: recall@5 afterwards, 0..1; seconds: what took how
    long; wall: the whole epoch."""

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
class Lesson:
    """What a batch was: the sum of its queries' `loss`, its `tuples` that had a violating triplet, and how many these
    were; of places: the loss times their number, how many were learnt, and the pairs mined."""

    loss: float = 0.0
    tuples: int = 0
    violating: int = 0


@dataclass
class At:
    """Where a run stands: the `epoch`, its queries `done`, and `since` the last refresh (None: one is due)."""

    epoch: int = 1
    done: int = 0
    since: int | None = None


@dataclass
class Record:
    """How a model came about.

    recall: recall@5 before training; best: the epoch whose weights the model has; stopped: why before its time, or "".
    queries: how many were trained on; skipped: those without a positive or a negative; database: its photos;
    unreadable: path -> reason;
    kept: where the frozen maps were, "in memory", "on disk" or "nowhere".
    """

    config: Config
    start: str
    queries: int
    skipped: int
    database: int = 0
    kept: str = "nowhere"
    recall: float | None = None
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)

    def progress(self) -> dict[str, Any]:
        """What changes as training goes on, to be written down; `go_on` takes it back."""
        return {"recall": self.recall, "best": self.best, "epochs": [asdict(epoch) for epoch in self.epochs]}

    def go_on(self, progress: dict[str, Any]) -> None:
        self.recall, self.best = progress["recall"], progress["best"]
        self.epochs = [Epoch(**epoch) for epoch in progress["epochs"]]

    def card(self) -> dict[str, Any]:
        """What the card of the best epoch's model says of its training."""
        best = self.epochs[self.best - 1]
        facts = {"config": asdict(self.config), "database": self.database, "queries": self.queries}
        return {**facts, "epoch": best.number, "recall@5": best.recall}
