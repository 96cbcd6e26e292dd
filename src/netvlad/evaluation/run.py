"""Judge rankers by where their answers lie."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation.ground_truth import Truth, by_list, by_place
from netvlad.evaluation.recall import recall_at
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.evaluation.rules import Rules
from netvlad.places import Places
from netvlad.types import Ranker, Ranking


def evaluate(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]],
    database: Places,
    queries: Places,
    protocol: Protocol | None = None,
    config: Mapping | None = None,
    *,
    positives: Sequence[np.ndarray] | None = None,
    groups: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Let each ranker, built from `database` (its ids are rows of it), rank for all `queries`, and judge them.

    rankers: name -> ranker, or -> a function that makes it, called when its turn comes, so that one is in memory
    at a time. positives: for each query the database rows that are right, where the protocol has no radius. groups:
    as `Evaluation.groups`. Raises NetvladError without queries or database, and where a rule of the protocol cannot be
    applied.
    """
    protocol = protocol or Protocol()
    if not len(database) or not len(queries):
        raise NetvladError(f"nothing to evaluate: {len(database)} database photos and {len(queries)} queries")
    if not rankers:
        raise NetvladError("nothing to evaluate: no method was given")
    rules = Rules.of(protocol, database, queries)
    truth = _truth(protocol, database, queries, positives)
    matched = rules.matched(truth.near)
    rankings: dict[str, tuple[Ranking, int | None]] = {}
    unreadable: dict[str, str] = {}
    for name, ranker in rankers.items():
        ranker = ranker if isinstance(ranker, Ranker) else ranker()
        rankings[name] = _rank(ranker, queries, max(protocol.ns), rules), ranker.dim
        unreadable |= rankings[name][0].unreadable
        del ranker
    readable = np.array([path not in unreadable for path in queries.path])
    judged = readable & (matched | (protocol.unmatched == "keep"))
    methods = []
    for name, (found, dim) in rankings.items():
        correct = truth.correct(found.ids)
        recall = recall_at(correct, judged, protocol.ns)
        apart = {group: recall_at(correct, judged & of_it, protocol.ns) for group, of_it in (groups or {}).items()}
        seconds = dict(found.seconds)
        methods.append(MethodResult(name, found.ids, found.scores, correct, recall, seconds, dim, apart))
    config = {**(config or {}), "environment": environment()}
    groups = dict(groups or {})
    return Evaluation(database, queries, protocol, methods, judged, matched, unreadable, config, groups)


def _truth(protocol: Protocol, database: Places, queries: Places, positives: Sequence[np.ndarray] | None) -> Truth:
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


def environment() -> dict:
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
