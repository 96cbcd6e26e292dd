"""What a training run is told, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from netvlad.errors import NetvladError
from netvlad.train.frozen import STORAGE
from netvlad.train.tuples import Mining

OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Config:
    """A training run; the defaults are the paper's (appendix A).

    start: the part of the trunk from which on it is trained (`layer3`, `blocks.8`, `conv5_1`), the pooling always;
    "pooling": it alone; None: what the paper trains of its two trunks, the last stage of others.
    batch: tuples a step; halve_every: epochs after which the learning rate halves, and the refresh interval doubles.
    refresh: queries between two refreshes of the cached descriptors.
    validation_radius: metres; validation_queries: at most so many, drawn by the seed; other_dates: a validation query
    may only be matched to another date.
    precision: of what is run, "bfloat16" is twice as fast on some CPUs and GPUs; weights stay float32.
    freeze: keep what the untrained layers make of each photo, where it fits `memory` bytes or there is a `folder` for
    the rest; storage: in which numbers.
    """

    start: str | None = None
    mining: Mining = field(default_factory=Mining)
    margin: float = 0.1
    batch: int = 4
    epochs: int = 30
    optimizer: str = "sgd"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-3
    halve_every: int = 5
    refresh: int = 1000
    validation_radius: float = 25.0
    validation_queries: int = 1000
    other_dates: bool = False
    seed: int = 0
    precision: str = "float32"
    freeze: bool = True
    storage: str = "float16"
    memory: float = 4e9
    folder: str | None = None

    def __post_init__(self) -> None:
        choices = {"optimizer": OPTIMIZERS, "precision": PRECISIONS, "storage": STORAGE}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise NetvladError(f"{name} {getattr(self, name)!r} does not exist; choose one of {', '.join(allowed)}")
        for name in ("batch", "epochs", "halve_every", "refresh", "validation_queries"):
            if getattr(self, name) < 1:
                raise NetvladError(f"{name} {getattr(self, name)}: a number from 1 up is wanted")
        for name in ("lr", "margin", "validation_radius"):
            if not getattr(self, name) > 0:
                raise NetvladError(f"{name} {getattr(self, name)}: a number above 0 is wanted")

    def halvings(self, epoch: int) -> int:
        """How often the learning rate has been halved in `epoch`, counted from 1."""
        return (epoch - 1) // self.halve_every


@dataclass
class Epoch:
    """One epoch: loss: the mean of a query's loss; tuples: queries that had a violating triplet, `violating` of these
    in all; steps: of the optimiser; recall: recall@5 afterwards, 0..1; seconds: what took how long."""

    number: int
    lr: float
    refresh: int
    loss: float = 0.0
    tuples: int = 0
    violating: int = 0
    steps: int = 0
    recall: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Record:
    """How a model came about.

    recall: recall@5 before training; best: the epoch whose weights the model has; stopped: why before its time, or "".
    queries: how many were trained on; skipped: those without a positive or a negative; unreadable: path -> reason;
    kept: where the frozen maps were, "in memory", "on disk" or "nowhere".
    """

    config: Config
    start: str
    queries: int
    skipped: int
    kept: str = "nowhere"
    recall: float | None = None
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
