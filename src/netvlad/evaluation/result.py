"""Results of an evaluation: the numbers, and the rankings that curves and pages are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netvlad.benchmarks.protocol import Protocol
from netvlad.places import Places
from netvlad.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class MethodResult:
    """Ranking and score of one method.

    ids (Q, k) int64: database rows, best first, -1 where there is none. scores (Q, k) float32: larger is better.
    correct (Q, k) bool: whether each match is correct. recall: N -> share of the judged queries, 0..1. seconds: stage
    -> s. dim: length of a vector, None where the method has none. groups: recall of each of `Evaluation.groups`.
    """

    name: str
    ids: IntArray
    scores: FloatArray
    correct: BoolArray
    recall: Mapping[int, float]
    seconds: Mapping[str, float]
    dim: int | None = None
    groups: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """Results of every method on one set of queries against one database.

    judged (Q,) bool: queries in the denominator. matched (Q,) bool: queries with a true match. unreadable: path ->
    reason, of photos left out. config: how to run it again. groups: name -> (Q,) bool, queries whose recall is reported
    apart, such as those taken by night.
    """

    database: Places
    queries: Places
    protocol: Protocol
    methods: list[MethodResult]
    judged: BoolArray
    matched: BoolArray
    unreadable: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, BoolArray] = field(default_factory=dict)
