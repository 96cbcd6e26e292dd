"""The settings of a training run; the defaults are the paper's (section 4, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass, field

from netvlad.describe.device import NAMES
from netvlad.errors import NetvladError
from netvlad.registry import losses
from netvlad.training.schema import check, key

RULES = ("any", "other-date", "same-date", "other-light", "verified")
LOSSES = ("ranking", "softmax", "multi-similarity")  # the package's own; `netvlad.registry.losses` has all
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("halve", "constant", "linear", "cosine")
CACHES = ("full", "partial")
PRECISIONS = ("float32", "bfloat16")
STORAGE = ("float16", "float32")
RENAMED = {  # keys of version 0.1.0, which settings may still use
    "within": "positive_radius",
    "elsewhere": "negative_radius",
    "remembered": "cached_negatives",
    "used": "negatives",
}


@dataclass(frozen=True)
class Mining:
    """How positives and negatives are chosen (paper, section 4, appendix A).

    positives: "any"; "other-date": of another calendar date than the query (the Time Machine); "same-date"; a photo of
    unknown date is neither. "other-light": one photo by day and one by night, by the sun; twilight is neither.
    "verified": pairs that the file `confirmed` lists, or that local features confirm (`netvlad.training.verified`).
    apart: excludes cut-outs of the same panorama; None: any distance.
    """

    positives: str = key("any", "Which photos near a query may be its positives.", among=RULES)
    positive_radius: float = key(10.0, "Largest distance in metres of a potential positive.")
    apart: float | None = key(1.0, "Smallest distance of a potential positive; none: any.")
    negative_radius: float = key(25.0, "Smallest distance in metres of a definite negative.")
    sample: int = key(1000, "Definite negatives drawn for a query.", least=1)
    cached_negatives: int = key(10, "Hardest negatives of the last visit that join them.", least=0)
    hard: int = key(100, "Hardest of all these that are kept.", least=1)
    negatives: int = key(10, "Negatives of a tuple at most.", least=1)
    confirmed: str | None = key(None, "A file of verified pairs: CSV (query, database), or Parquet.")

    def __post_init__(self) -> None:
        check(self)
        if self.confirmed is not None and self.positives != "verified":
            raise NetvladError(f"confirmed pairs go with positives verified, not {self.positives!r}")
        if not (self.apart or 0) < self.positive_radius <= self.negative_radius:
            raise NetvladError(
                f"positives between {self.apart} and {self.positive_radius} m and negatives beyond "
                f"{self.negative_radius} m: apart < positive_radius <= negative_radius is wanted"
            )


@dataclass(frozen=True)
class Jitter:
    """Random changes to a photo before a training step; 0 is none, as in the paper.

    Photometric: `brightness` to `white_balance` b scale by 1 - b to 1 + b, white balance each colour on its own.
    Geometric: a crop down to 1 - `crop` of the area, scaled back; degrees of rotation; perspective 0..1. Parts beyond
    the photo's border are undefined and are left out.
    """

    brightness: float = key(0.0, "Jitter of the brightness, 0 to 1.", least=0)
    contrast: float = key(0.0, "Jitter of the contrast, 0 to 1.", least=0)
    saturation: float = key(0.0, "Jitter of the saturation, 0 to 1.", least=0)
    gamma: float = key(0.0, "Jitter of the gamma, 0 to 1.", least=0)
    white_balance: float = key(0.0, "Jitter of each colour's strength, 0 to 1.", least=0)
    crop: float = key(0.0, "Largest share of a photo's area that is cropped away.", least=0)
    rotation: float = key(0.0, "Largest rotation in degrees.", least=0)
    perspective: float = key(0.0, "Largest perspective distortion, 0 to 1.", least=0)
    flip: float = key(0.0, "Share of the tuples that are mirrored; a mirrored street is another street.", least=0)

    def __post_init__(self) -> None:
        check(self)
        for name in ("brightness", "contrast", "saturation", "gamma", "white_balance", "crop", "perspective", "flip"):
            if not getattr(self, name) <= 1 or (name in ("gamma", "crop") and getattr(self, name) == 1):
                raise NetvladError(f"{name} {getattr(self, name)}: a number from 0 to 1 is wanted")

    @property
    def any(self) -> bool:
        return any(vars(self).values())


@dataclass(frozen=True)
class Config:
    """Settings of a training run; the defaults are the paper's.

    start: the part of the backbone where training starts (`layer3`, `blocks.8`, `conv5_1`); "pooling": the pooling
    alone; None: what the paper trains of its two backbones, the last stage of others.
    loss: a name of `netvlad.registry.losses`.
    precision: of the forward pass, "bfloat16" is twice as fast on some CPUs and GPUs; weights stay float32.
    freeze: keep the output of the frozen layers on each photo, if it fits `memory` bytes or there is a `folder` for the
    rest; storage: its number format. `netvlad train --help` describes the other keys.
    """

    start: str | None = key(None, "Where in the backbone training starts, e.g. layer3; pooling: the pooling alone.")
    loss: str = key("ranking", "Training loss.", among=LOSSES, registry=losses)
    mining: Mining = field(default_factory=Mining)
    margin: float = key(0.1, "Margin of the ranking loss, in squared distance.", above=0)
    temperature: float = key(0.05, "Temperature of the softmax loss, in cosines.", above=0)
    cameras: str | None = key(None, "A table of fixed cameras (path, place), for the softmax loss.")
    batch: int = key(4, "Tuples a step; places for multi-similarity.", least=1)
    per_place: int = key(4, "Photos of a place, for multi-similarity.", least=2)
    sector: float | None = key(None, "Degrees of heading that share a place, for multi-similarity.", above=0)
    epochs: int = key(30, "Passes over all queries.", least=1)
    optimizer: str = key("sgd", "Optimizer.", among=OPTIMIZERS)
    lr: float = key(1e-3, "Learning rate.", above=0)
    momentum: float = key(0.9, "Momentum of sgd.", least=0)
    weight_decay: float = key(1e-3, "Weight decay.", least=0)
    schedule: str = key("halve", "Schedule of the learning rate.", among=SCHEDULES)
    halve_every: int = key(5, "Epochs after which the rate halves and the refresh interval doubles.", least=1)
    warm_up: float = key(0.0, "Epochs in which the rate rises to its full value.", least=0)
    refresh: int = key(1000, "Queries between two refreshes of the cached descriptors.", least=1)
    cache: str = key(
        "full", "Which descriptors a refresh computes; partial: those that the next queries need.", among=CACHES
    )
    jitter: Jitter = field(default_factory=Jitter)
    checkpoint_every: int | None = key(None, "Queries between two checkpoints; none: at each refresh.", least=1)
    validation_radius: float = key(25.0, "Radius of a match in validation, in metres.", above=0)
    validation_queries: int = key(1000, "Validation queries at most, drawn at random.", least=1)
    other_dates: bool = key(False, "Match validation queries to photos of other dates only.")
    seed: int = key(0, "Seed of all random draws.", least=0)
    device: str = key("auto", "Device to train on: auto, cpu, cuda, cuda:1 or mps.")
    precision: str = key("float32", "Precision of the forward pass; weights are float32.", among=PRECISIONS)
    recompute: bool = key(False, "Gradient checkpointing: less memory, a second forward pass.")
    channels_last: bool = key(False, "Channels-last memory layout; faster on GPUs with bfloat16.")
    freeze: bool = key(True, "Run the frozen layers once and keep their maps.")
    storage: str = key("float16", "Number format of the kept maps.", among=STORAGE)
    memory: float = key(4e9, "Bytes of memory for the kept maps, and for the cached descriptors.", least=0)
    folder: str | None = key(None, "A folder for what exceeds the memory.")

    def __post_init__(self) -> None:
        check(self)
        if self.device != "auto" and not NAMES.fullmatch(self.device):
            raise NetvladError(f"device {self.device!r} does not exist; choose one of auto, cpu, cuda, cuda:1, mps")
        if self.cameras is not None and self.loss != "softmax":
            raise NetvladError(f"fixed cameras go with the loss softmax, not {self.loss}")
        if self.loss == "softmax" and self.mining.positives == "verified":
            raise NetvladError("the loss softmax compares all photos of a batch: verified pairs go with ranking")

    def halvings(self, epoch: int) -> int:
        """How often the learning rate has been halved before `epoch`, counted from 1."""
        return (epoch - 1) // self.halve_every if self.schedule == "halve" else 0
