"""Judge rankers by where their answers lie."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Protocol as Interface

import numpy as np

from netvlad.errors import NetvladError
from netvlad.evaluate.recall import recall_at
from netvlad.evaluate.result import Evaluation, MethodResult, Protocol
from netvlad.places import Places, PlaceTree
from netvlad.places.geometry import is_within


class Ranker(Interface):
    """Whatever ranks database photos for query photos; `rank` as in `PlaceIndex.rank`.

    It may have `dim` (length of its vectors), `seconds` (stage -> s) and `unreadable` (path -> reason).
    """

    def rank(self, photos, k: int) -> tuple[np.ndarray, np.ndarray]: ...


def evaluate(
    rankers: Mapping[str, Ranker | Callable[[], Ranker]],
    database: Places,
    queries: Places,
    protocol: Protocol | None = None,
    config: Mapping | None = None,
) -> Evaluation:
    """Let each ranker, built from `database` (its ids are rows of it), rank for all `queries`, and judge them.

    rankers: name -> ranker, or -> a function that makes it, called when its turn comes, so that one is in memory
    at a time. Raises NetvladError without queries or database.
    """
    protocol = protocol or Protocol()
    if not len(database) or not len(queries):
        raise NetvladError(f"nothing to evaluate: {len(database)} database photos and {len(queries)} queries")
    if not rankers:
        raise NetvladError("nothing to evaluate: no method was given")
    matched = np.diff(PlaceTree(database).within(queries, protocol.radius).offsets) > 0
    rankings, unreadable = {}, {}
    for name, ranker in rankers.items():
        ranker = ranker if hasattr(ranker, "rank") else ranker()
        start = time.perf_counter()
        ids, scores = ranker.rank(queries.path, max(protocol.ns))
        seconds = getattr(ranker, "seconds", None) or {"rank": time.perf_counter() - start}
        unreadable |= getattr(ranker, "unreadable", {})
        rankings[name] = (ids, scores, dict(seconds), getattr(ranker, "dim", None))
        del ranker
    readable = np.array([path not in unreadable for path in queries.path])
    judged = readable & (matched | (protocol.unmatched == "keep"))
    methods = []
    for name, (ids, scores, seconds, dim) in rankings.items():
        correct = is_within(queries, database, ids, protocol.radius)
        recall = recall_at(correct, judged, protocol.ns)
        methods.append(MethodResult(name, ids, scores, correct, recall, seconds, dim))
    config = {**(config or {}), "environment": environment()}
    return Evaluation(database, queries, protocol, methods, judged, matched, unreadable, config)


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
