"""How loops are found, and what a loop is."""

from __future__ import annotations

from dataclasses import dataclass, field

from netvlad.errors import NetvladError
from netvlad.features.local_features import best_kind, kind_of


@dataclass(frozen=True)
class LoopOptions:
    """How loops are found.

    gap: seconds; frames nearer in time are never loops. apart: least distance (0..2) of a frame's vector from the last
    keyframe's that makes it one; 0: all frames are. length: frames that count, None for all before; 1: single frames.
    probability: that a place is so before it is verified, and what is a loop without verification. nearest: keyframes
    that are looked at. verify: most of them that are verified for a frame; 0: none. least: inliers of a loop, by
    default 20, of XFeat 75. kind: of local features. budget: seconds after which no further one is verified. most:
    keyframes that are kept, the last ones. forwards, backwards: seconds of the first drive a second of this one.
    Raises NetvladError for values that make no sense.
    """

    gap: float = 20.0
    apart: float = 0.0
    length: int | None = None
    probability: float = 0.5
    nearest: int = 20
    verify: int = 3
    least: int | None = None
    kind: str = field(default_factory=best_kind)
    budget: float | None = None
    most: int = 100_000
    forwards: float = 3.0
    backwards: float = 3.0

    def __post_init__(self) -> None:
        kind_of(self.kind).detector(1)
        if not (self.gap >= 0 and self.apart >= 0 and 0 <= self.probability <= 1):
            raise NetvladError(f"a gap and a distance are 0 or more, a probability lies in 0..1; got {self}")
        if self.nearest < 1 or self.verify < 0 or self.most < 2 or (self.length is not None and self.length < 1):
            raise NetvladError(f"counts are positive, and 2 keyframes are kept at least; got {self}")
        if self.budget is not None and not self.budget > 0:
            raise NetvladError(f"the time for a frame must be more than 0 seconds, got {self.budget}")

    @property
    def inliers(self) -> int:
        """Inliers from which on a loop is one; 75 is chosen on a drive by day (docs/results/robots.md)."""
        return self.least if self.least is not None else (75 if self.kind == "xfeat" else 20)


@dataclass(frozen=True)
class Loop:
    """Keyframe `query` at `query_t` seconds shows the place of keyframe `match` at `match_t`.

    score: probability (0..1) by the frames so far. distance: of the vectors, 0..2. inliers: matches that agree, None
    where nothing was verified. heading, bearing: degrees clockwise from where the match's camera looks, to where the
    query's looks and where it stands; None without intrinsics.
    """

    query: int
    match: int
    query_t: float
    match_t: float
    score: float
    distance: float
    inliers: int | None = None
    heading: float | None = None
    bearing: float | None = None
