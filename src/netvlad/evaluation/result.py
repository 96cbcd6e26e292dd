"""What an evaluation found: the numbers, and enough beside them to draw every curve and page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netvlad.places import Places


@dataclass(frozen=True)
class Protocol:
    """How a ranking is judged.

    A query counts at N when one of its N best lies within `radius` metres (protocol of the paper, section 5.1), or has
    its place label where either has no position (`netvlad.places.place_matches`).
    `unmatched` says what becomes of queries without any true match in the database: "keep" leaves them in the
    denominator, as the authors' code does; "drop" leaves them out. Either way they are counted and reported.
    `best_per_panorama` keeps only the best cut-out of each panorama before a ranking is cut at N, the rule of
    Tokyo 24/7. `other_dates` does not count database photos of the query's own date, the rule of Tokyo Time Machine:
    they leave the ranking before it is cut at N, and a query with no other true match has none (see `rules`).
    `heading`: degrees that the headings of a query and its match may differ by besides, None any. radius None: a
    benchmark lists the true matches; `frames` then says by how many frames of a video they may be off, where that is
    its rule. benchmark: its name. query_resize: what that does to queries before they are described, in words.
    """

    radius: float | None = 25.0
    ns: tuple[int, ...] = (1, 2, 3, 4, 5, *range(10, 101, 5))
    unmatched: str = "drop"
    best_per_panorama: bool = False
    other_dates: bool = False
    heading: float | None = None
    frames: int | None = None
    benchmark: str = ""
    query_resize: str = ""


@dataclass(frozen=True)
class MethodResult:
    """One method's ranking and its score.

    ids (Q, k) int64: database rows, best first, -1 where there is none; scores (Q, k) float32, larger is better;
    correct (Q, k) bool: of the query's place; recall: N -> share of the judged queries, 0..1; seconds: stage -> s;
    dim: length of a vector, None where the method has none; groups: the recall of each of `Evaluation.groups`.
    """

    name: str
    ids: np.ndarray
    scores: np.ndarray
    correct: np.ndarray
    recall: dict[int, float]
    seconds: dict[str, float]
    dim: int | None = None
    groups: dict[str, dict[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """Every method's result on one set of queries against one database.

    judged (Q,) bool: the queries in the denominator; matched (Q,) bool: those with a true match;
    unreadable: photos left out, path -> reason; config: everything needed to run it again; groups: name -> (Q,) bool,
    queries whose recall is told apart, such as those taken by night.
    """

    database: Places
    queries: Places
    protocol: Protocol
    methods: list[MethodResult]
    judged: np.ndarray
    matched: np.ndarray
    unreadable: dict[str, str] = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    groups: dict[str, np.ndarray] = field(default_factory=dict)
