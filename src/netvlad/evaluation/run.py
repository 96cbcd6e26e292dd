"""Judge rankers by where their answers lie."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation.ground_truth import Truth, by_list, by_place
from netvlad.evaluation.recall import recall_at
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.evaluation.rules import Rules
from netvlad.places import Places
from netvlad.types import Ranker, Ranking

if TYPE_CHECKING:
    from netvlad.types import BoolArray, IntArray


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
        self._truth = _truth(self.protocol, database, queries, positives)

    def rank(self, ranker: Ranker) -> Ranked:
        """The largest N of the protocol best matches that its rules leave of each ranking."""
        return Ranked(_rank(ranker, self.queries, max(self.protocol.ns), self._rules), ranker.dim)

    def result(self, rankings: Mapping[str, Ranked], config: Mapping[str, Any] | None = None) -> Evaluation:
        """Judge what `rank` returned, name -> ranking. A query that one ranker cannot read is judged for none.

        Raises NetvladError without rankings.
        """
        if not rankings:
            raise NetvladError("nothing to evaluate: no method was given")
        unreadable = {path: why for ranked in rankings.values() for path, why in ranked.ranking.unreadable.items()}
        readable = np.array([path not in unreadable for path in self.queries.path])
        matched = self._rules.matched(self._truth.near)
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
        correct = self._truth.correct(found.ids)
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
    """Let each ranker, built from `database` (its ids are rows of it), rank for all `queries`, and judge them.

    rankers: name -> ranker, or -> a function that makes it, called when its turn comes, so that one is in memory
    at a time. The rest, and errors, as for `RecallJudge`.
    """
    judge = RecallJudge(database, queries, protocol, positives=positives, groups=groups)
    return judge.result(rank_each(rankers, judge.rank), config)


def rank_each(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]], rank: Callable[[Ranker], Ranked]
) -> dict[str, Ranked]:
    """Rank with each ranker, made when its turn comes and let go of before the next is made."""
    return {name: rank(ranker if isinstance(ranker, Ranker) else ranker()) for name, ranker in rankers.items()}


def _truth(protocol: Protocol, database: Places, queries: Places, positives: Sequence[IntArray] | None) -> Truth:
    if (positives is None) == (protocol.radius is None):
        raise NetvladError(
            "right is either what lies within a radius or what is listed: give a protocol with a radius, or one "
            "without and the positives of each query"
        )
    if positives is None:
        return by_place(queries, database, protocol.radius, protocol.heading)
    if len(positives) != len(queries):
        raise NetvladError(f"positives of {len(positives)} queries are listed; there are {len(queries)}")
    return by_list(positives, len(database))


def _rank(ranker: Ranker, queries: Places, n: int, rules: Rules) -> Ranking:
    """The n best that the rules leave of each ranking: ask for enough, and again where it was not.

    What a query needs is known only by asking: few of a date's photos are near the top, but all may be.
    """
    k = rules.depth(n)
    first = timed(ranker, queries.path, k)
    if not rules.any:
        return first
    ids, scores, short = rules.apply(first.ids, first.scores, np.arange(len(queries)), n, k)
    seconds = dict(first.seconds)
    start = time.perf_counter()
    while len(short):
        k *= 2
        deeper = ranker.rank(queries.path[short], k)
        ids[short], scores[short], left = rules.apply(deeper.ids, deeper.scores, short, n, k)
        short = short[left]
        seconds["search queries deeper"] = time.perf_counter() - start
    return replace(first, ids=ids, scores=scores, seconds=seconds)


def timed(ranker: Ranker, photos: Sequence[str], k: int) -> Ranking:
    """The ranking, with how long it took where the ranker does not say."""
    start = time.perf_counter()
    found = ranker.rank(photos, k)
    return found if found.seconds else replace(found, seconds={"rank": time.perf_counter() - start})


def environment() -> dict[str, Any]:
    """What a number depends on beside the code: versions, hardware, commit."""
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
