"""What an evaluation found: the numbers, and enough beside them to draw every curve and page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.places import Places


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
