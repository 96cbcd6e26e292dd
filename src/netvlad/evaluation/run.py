"""Evaluation by recall@N: rank with each ranker, then judge the rankings."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation.ground_truth import GroundTruth, by_list, by_place
from netvlad.evaluation.recall import recall_at
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.evaluation.rules import Rules
from netvlad.places import Places
from netvlad.types import BoolArray, IntArray, Ranker, Ranking


@dataclass(frozen=True)
class Ranked:
    """A ranking of all queries and the length of the ranker's vectors, None where it has none."""

    ranking: Ranking
    dim: int | None


class RecallJudge:
    """Judges rankings of one database for one set of queries by recall@N.

    positives: for each query the database rows that are correct, where the protocol has no radius. groups: as
    `Evaluation.groups`. Raises NetvladError without queries or database, and where a rule of the protocol cannot be
    applied.
    """

    def __init__(
        self,
        database: Places,
        queries: Places,
        protocol: Protocol | None = None,
        *,
        positives: Sequence[IntArray] | None = None,
        groups: Mapping[str, BoolArray] | None = None,
    ) -> None:
        if not len(database) or not len(queries):
            raise NetvladError(f"nothing to evaluate: {len(database)} database photos and {len(queries)} queries")
        self.database, self.queries, self.protocol = database, queries, protocol or Protocol()
        self.groups = dict(groups or {})
        self._rules = Rules.of(self.protocol, database, queries)
        self._ground_truth = _ground_truth(self.protocol, database, queries, positives)

    def rank(self, ranker: Ranker) -> Ranked:
        """Rank all queries; the rules of the protocol are applied and the ranking is cut at its largest N."""
        return Ranked(_rank(ranker, self.queries, max(self.protocol.ns), self._rules), ranker.dim)

    def result(self, rankings: Mapping[str, Ranked], config: Mapping[str, Any] | None = None) -> Evaluation:
        """Judge what `rank` returned, name -> ranking. A query that one ranker cannot read is judged for none.

        Raises NetvladError without rankings.
        """
        if not rankings:
            raise NetvladError("nothing to evaluate: no method was given")
        unreadable = {path: why for ranked in rankings.values() for path, why in ranked.ranking.unreadable.items()}
        readable = np.array([path not in unreadable for path in self.queries.path])
        matched = self._rules.matched(self._ground_truth.near)
        judged = readable & (matched | (self.protocol.unmatched == "keep"))
        return Evaluation(
            self.database,
            self.queries,
            self.protocol,
            [self._method(name, ranked, judged) for name, ranked in rankings.items()],
            judged,
            matched,
            unreadable,
            {**(config or {}), "environment": environment()},
            self.groups,
        )

    def _method(self, name: str, ranked: Ranked, judged: BoolArray) -> MethodResult:
        found, ns = ranked.ranking, self.protocol.ns
        correct = self._ground_truth.correct(found.ids)
        recall = recall_at(correct, judged, ns)
        groups = {group: recall_at(correct, judged & members, ns) for group, members in self.groups.items()}
        return MethodResult(name, found.ids, found.scores, correct, recall, dict(found.seconds), ranked.dim, groups)


def evaluate(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]],
    database: Places,
    queries: Places,
    protocol: Protocol | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    positives: Sequence[IntArray] | None = None,
    groups: Mapping[str, BoolArray] | None = None,
) -> Evaluation:
    """Rank all `queries` with each ranker, and compute recall@N.

    rankers: name -> ranker over the rows of `database`, or a function that builds one, called when its turn comes, so
    that one is in memory at a time. The other arguments and errors are those of `RecallJudge`.
    """
    judge = RecallJudge(database, queries, protocol, positives=positives, groups=groups)
    return judge.result(rank_each(rankers, judge.rank), config)


def rank_each(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]], rank: Callable[[Ranker], Ranked]
) -> dict[str, Ranked]:
    """Rank with each ranker, made when its turn comes and let go of before the next is made."""
    return {name: rank(ranker if isinstance(ranker, Ranker) else ranker()) for name, ranker in rankers.items()}


def _ground_truth(
    protocol: Protocol, database: Places, queries: Places, positives: Sequence[IntArray] | None
) -> GroundTruth:
    if positives is None and protocol.radius is not None:
        return by_place(queries, database, protocol.radius, protocol.heading)
    if positives is None or protocol.radius is not None:
        raise NetvladError(
            "right is either what lies within a radius or what is listed: give a protocol with a radius, or one "
            "without and the positives of each query"
        )
    if len(positives) != len(queries):
        raise NetvladError(f"positives of {len(positives)} queries are listed; there are {len(queries)}")
    return by_list(positives, len(database))


def _rank(ranker: Ranker, queries: Places, n: int, rules: Rules) -> Ranking:
    """Rank, and keep the n best matches that the rules allow.

    How deep a ranking has to go is known only afterwards: few photos of a date are near its top, but all may be. So
    queries that come out short are ranked again, twice as deep.
    """
    k = rules.depth(n)
    first = timed(ranker, queries.path.tolist(), k)
    if not rules.any:
        return first
    ids, scores, short = rules.apply(first.ids, first.scores, np.arange(len(queries)), n, k)
    seconds = dict(first.seconds)
    start = time.perf_counter()
    while len(short):
        k *= 2
        deeper = ranker.rank(queries.path[short].tolist(), k)
        ids[short], scores[short], left = rules.apply(deeper.ids, deeper.scores, short, n, k)
        short = short[left]
        seconds["search queries deeper"] = time.perf_counter() - start
    return replace(first, ids=ids, scores=scores, seconds=seconds)


def timed(ranker: Ranker, photos: Sequence[str], k: int) -> Ranking:
    """Rank, and measure the time where the ranker does not."""
    start = time.perf_counter()
    found = ranker.rank(photos, k)
    return found if found.seconds else replace(found, seconds={"rank": time.perf_counter() - start})


def environment() -> dict[str, Any]:
    """Versions, hardware and commit that a result depends on."""
    found = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    for package in ("netvlad", "torch", "torchvision", "timm", "faiss-cpu", "numpy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if "model name" in line]
        found["processor"] = names[0] if names else platform.processor()
    found["commit"] = _commit()
    return found


def _commit() -> str | None:
    """The commit of this source tree, marked where it was changed since; None for an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        run = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(run, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
