"""What a training run is told: every key with its default, which is the paper's (section 4, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass, field

from netvlad.errors import NetvladError
from netvlad.registry import losses
from netvlad.training.schema import check, key

RULES = ("any", "other-date", "same-date", "other-light", "verified")
LOSSES = ("ranking", "softmax", "multi-similarity")  # the package's own; `netvlad.registry.losses` has all
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("halve", "constant", "linear", "cosine")
CACHES = ("full", "partial")
DEVICES = ("auto", "cpu", "cuda")
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
    """What counts as a positive and a negative, in the paper's numbers (section 4, appendix A).

    positives: "any"; "other-date" is the Time Machine: a positive is of another calendar date than the query;
    "same-date" is a set without one. A photo of unknown date is of neither. "other-light": one of the two was taken by
    day and the other by night, by the sun; twilight is neither. "verified": only pairs that show the same,
    as the file `confirmed` says, or as local features find (`netvlad.training.verified`).
    apart: cut-outs of the same panorama teach nothing; None: any distance, for photos that are from no panoramas.
    """

    positives: str = key("any", "Which photos near a query may be its positives.", among=RULES)
    positive_radius: float = key(10.0, "Largest distance in metres of a potential positive.")
    apart: float | None = key(1.0, "Its smallest distance, itself excluded; none: any.")
    negative_radius: float = key(25.0, "Smallest distance in metres of a definite negative.")
    sample: int = key(1000, "Definite negatives drawn for a query.")
    cached_negatives: int = key(10, "Nearest ones of its last visit that join them.")
    hard: int = key(100, "Nearest of all these that are kept.")
    negatives: int = key(10, "Most of these that may make the tuple.")
    confirmed: str | None = key(None, "A file of verified pairs: CSV (query, database), or Parquet as they are found.")

    def __post_init__(self) -> None:
        if self.positives not in RULES:
            raise NetvladError(f"no rule for positives is called {self.positives!r}; choose one of {', '.join(RULES)}")
        if self.confirmed is not None and self.positives != "verified":
            raise NetvladError(f"confirmed pairs go with positives verified, not {self.positives!r}")
        if not (self.apart or 0) < self.positive_radius <= self.negative_radius:
            raise NetvladError(
                f"positives between {self.apart} and {self.positive_radius} m and negatives beyond "
                f"{self.negative_radius} m: apart < positive_radius <= negative_radius is wanted"
            )
        if min(self.sample, self.hard, self.negatives) < 1 or self.cached_negatives < 0:
            raise NetvladError("sample, hard and negatives count from 1, cached_negatives from 0")


@dataclass(frozen=True)
class Jitter:
    """How much a photo may be changed before it is learnt from; 0 is not at all, as in the paper.

    Photometric: `brightness` to `white_balance` b scale by 1 - b to 1 + b (the latter each colour on its own).
    Geometric: a crop of down to 1 - `crop` of the area, scaled back; degrees of rotation; perspective 0..1. What comes
    into view from outside the photo is undefined and counts for nothing.
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
    """A training run; the defaults are the paper's.

    start: the part of the backbone from which on it is trained (`layer3`, `blocks.8`, `conv5_1`), the pooling always;
    "pooling": it alone; None: what the paper trains of its two backbones, the last stage of others.
    precision: of what is run, "bfloat16" is twice as fast on some CPUs and GPUs; weights stay float32.
    freeze: keep what the untrained layers make of each photo, where it fits `memory` bytes or there is a `folder` for
    the rest; storage: in which numbers.
    The other keys say what they are in their metadata, which `netvlad train --help` shows.
    """

    start: str | None = key(None, "Where in the backbone training starts, e.g. layer3; pooling: it alone.")
    loss: str = key("ranking", "Training loss.", among=LOSSES, registry=losses)
    mining: Mining = field(default_factory=Mining)
    margin: float = key(0.1, "Of the ranking loss, in squared distance.", above=0)
    temperature: float = key(0.05, "Of the softmax loss, in cosines.", above=0)
    cameras: str | None = key(None, "A table of fixed cameras (path, place) to learn from as well, by softmax.")
    batch: int = key(4, "Tuples a step; of multi-similarity places.", least=1)
    per_place: int = key(4, "Photos of each place, of multi-similarity.", least=2)
    sector: float | None = key(None, "Degrees of heading that share a place, of multi-similarity.", above=0)
    epochs: int = key(30, "Times that every query is learnt from.", least=1)
    optimizer: str = key("sgd", "sgd or adamw.", among=OPTIMIZERS)
    lr: float = key(1e-3, "Learning rate.", above=0)
    momentum: float = key(0.9, "Of sgd.", least=0)
    weight_decay: float = key(1e-3, "Weight decay.", least=0)
    schedule: str = key("halve", "How the learning rate falls.", among=SCHEDULES)
    halve_every: int = key(5, "Epochs after which it halves, and the refresh interval doubles.", least=1)
    warm_up: float = key(0.0, "Epochs in which it climbs to its full height.", least=0)
    refresh: int = key(1000, "Queries between two refreshes of the cached descriptors.", least=1)
    cache: str = key("full", "partial: describe only what the next queries need.", among=CACHES)
    jitter: Jitter = field(default_factory=Jitter)
    checkpoint_every: int | None = key(None, "Queries between two checkpoints; none: at each refresh.", least=1)
    validation_radius: float = key(25.0, "Metres within which a match counts in validation.", above=0)
    validation_queries: int = key(1000, "Validation queries at most, drawn by the seed.", least=1)
    other_dates: bool = key(False, "Validation queries are matched to other dates only.")
    seed: int = key(0, "Of every draw.", least=0)
    device: str = key("auto", "Where to train.", among=DEVICES)
    precision: str = key("float32", "Of the forward pass; weights are float32.", among=PRECISIONS)
    recompute: bool = key(False, "Gradient checkpointing: less memory, a second forward pass.")
    channels_last: bool = key(False, "Memory layout of the backbone; faster on GPUs with bfloat16.")
    freeze: bool = key(True, "Run the layers below training once and keep their maps.")
    storage: str = key("float16", "In which numbers these maps are kept.", among=STORAGE)
    memory: float = key(4e9, "Bytes of memory for the maps, and for the descriptors.", least=0)
    folder: str | None = key(None, "A folder on disk for what exceeds the memory.")

    def __post_init__(self) -> None:
        check(self)
        if self.cameras is not None and self.loss != "softmax":
            raise NetvladError(f"fixed cameras are learnt from by the loss softmax, not {self.loss}")
        if self.loss == "softmax" and self.mining.positives == "verified":
            raise NetvladError("the loss softmax compares all photos of a batch: verified pairs go with ranking")

    def halvings(self, epoch: int) -> int:
        """How often the learning rate has been halved in `epoch`, counted from 1."""
        return (epoch - 1) // self.halve_every if self.schedule == "halve" else 0
