"""Tasks and results of `netvlad evaluate` and `netvlad compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.errors import NetvladError

if TYPE_CHECKING:
    from netvlad.benchmarks.protocol import Protocol
    from netvlad.experiments.run import Result
    from netvlad.experiments.tasks import Task


def own_protocol(
    benchmarks: list[str] | None,
    radius: float | None,
    keep_unmatched: bool,
    best_per_panorama: bool,
    other_dates: bool,
) -> Protocol:
    """The protocol for your own photos. Raises NetvladError for rules next to a benchmark, which has its own."""
    from netvlad.benchmarks.protocol import Protocol

    if benchmarks and (radius is not None or keep_unmatched or best_per_panorama or other_dates):
        raise NetvladError(
            f"{benchmarks[0]} has its own rules: leave --radius, --keep-unmatched, --best-per-panorama and "
            "--other-dates out, or give its photos as --database and --queries"
        )
    return Protocol(
        radius=25.0 if radius is None else radius,
        unmatched="keep" if keep_unmatched else "drop",
        best_per_panorama=best_per_panorama,
        other_dates=other_dates,
    )


def benchmark_tasks(names: list[str], root: Path | None, whole_queries: bool) -> list[Task]:
    """Read benchmarks under one root. Raises NetvladError for unknown names, a missing folder and missing photos."""
    from netvlad.benchmarks import benchmark
    from netvlad.experiments.tasks import benchmark_task

    known = [benchmark(name) for name in names]  # all names before any photo
    if root is None:
        raise NetvladError(f"--benchmark {names[0]} needs --root, the folder it is in:\n{known[0].layout}")
    return [benchmark_task(name, root, whole_queries=whole_queries) for name in names]


def own_task(database: Path | None, queries: Path | None, protocol: Protocol, strict: bool, **how: Any) -> Task:
    """Read your own photos. how: as for `netvlad.read_places`.

    Raises NetvladError where a source is missing or cannot be read.
    """
    from netvlad.cli.common import read_places
    from netvlad.experiments.tasks import Task

    if database is None or queries is None:
        raise NetvladError("give --database and --queries, or --benchmark and --root")
    name = f"{queries.stem} in {database.stem}"
    source = {"database": str(database), "queries": str(queries)}
    return Task(
        name, name, read_places(database, strict, **how), read_places(queries, strict, **how), protocol, source=source
    )


def print_result(result: Result, *, rules: bool = False) -> None:
    """Print results on stdout and remarks on stderr.

    rules: print the protocol of your own photos too.
    """
    from netvlad.cli.common import map_table, print_rules, recall_table, tell, tell_unreadable

    task, protocol = result.task, result.task.protocol
    tell_unreadable(result.found.unreadable)
    if not task.is_map:
        both = sorted(set(task.database.path) & set(task.queries.path))
        tell("these queries are in the database too and find themselves", both)
    tell("rankings read from the cache of an earlier run", list(result.cached))
    if task.as_is:
        scaled = [f"{name}: to {size} pixels" for name, size in result.resized.items()]
        tell(f"{task.name} takes photos as they are, and these scale larger ones down", scaled)
    (map_table if task.is_map else recall_table)(result.summary)
    if rules or task.benchmark or protocol.best_per_panorama or protocol.other_dates:
        print_rules(result.summary["rules"])
