"""A benchmark's rules as a protocol, and its queries in groups that are reported apart."""

from __future__ import annotations

import numpy as np

from netvlad.benchmarks import Benchmark, Split
from netvlad.evaluation.result import Protocol


def protocol_of(benchmark: Benchmark) -> Protocol:
    """The rules of a benchmark that is judged by recall."""
    return Protocol(
        radius=benchmark.radius,
        ns=tuple(benchmark.ns),
        unmatched="keep" if benchmark.keep_without_positive else "drop",
        best_per_panorama=benchmark.best_per_panorama,
        other_dates=benchmark.other_dates,
        heading=benchmark.heading_tolerance,
        frames=benchmark.frame_tolerance,
        benchmark=benchmark.name,
        query_resize=benchmark.query_resize,
    )


def groups_of(benchmark: Benchmark, split: Split) -> dict[str, np.ndarray]:
    """Each of the benchmark's conditions -> (Q,) bool: the queries of it. "sunset/night" are those of both.

    A condition that holds all queries, or none, is no group of its own.
    """
    if split.condition is None:
        return {}
    found = {name: np.isin(split.condition.astype(str), name.split("/")) for name in benchmark.conditions}
    return {name: of_it for name, of_it in found.items() if of_it.any() and not of_it.all()}
