"""A benchmark: what it is, by which rules it is judged, and how its folder becomes tables of places."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from netvlad.benchmarks.photos import present
from netvlad.benchmarks.protocol import STANDARD, Protocol
from netvlad.benchmarks.published import PublishedResult, results_on
from netvlad.errors import PlacesError
from netvlad.places.table import Places


@dataclass(frozen=True, eq=False)
class Split:
    """A database of D photos and Q queries, and what the benchmark says of them beyond their places.

    positives, junk: for each query the database rows (int64) that are right, and those that are neither right nor
    wrong; None where positions tell what is right, or nothing is junk.
    roi (Q, 4) float64: left, top, right, bottom in pixels of the part of a query's photo that is asked for; None: all.
    condition (Q,) object: such as "day". names (Q,) object: what the benchmark calls its queries.
    """

    database: Places
    queries: Places
    positives: list[np.ndarray] | None = None
    junk: list[np.ndarray] | None = None
    roi: np.ndarray | None = None
    condition: np.ndarray | None = None
    names: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("positives", "junk", "roi", "condition", "names"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.queries):
                raise PlacesError(f"{name} of {len(value)} queries, but there are {len(self.queries)}")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """One benchmark, or one of its sets of queries.

    reader: folder -> Split, its photos unseen. images: how many photos it has in all. database, queries: how many of
    each the published set lists; None where that depends on how it was made, or is not known for certain.
    gigabytes: about that much on disk, None unknown. licence, source, how, layout: for a person.

    kind: "recall" (recall@N), "map" (mean average precision) or "train" (no queries). protocol: the rules; its
    `benchmark` becomes this one's name. conditions: sets of queries that are reported apart by `Split.condition`;
    "sunset/night" are both.
    """

    name: str
    title: str
    reader: Callable[[Path], Split]
    images: int
    licence: str
    source: str
    how: str
    layout: str
    database: int | None = None
    queries: int | None = None
    gigabytes: float | None = None
    kind: Literal["recall", "map", "train"] = "recall"
    protocol: Protocol = STANDARD
    conditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "protocol", replace(self.protocol, benchmark=self.name))

    @property
    def published(self) -> tuple[PublishedResult, ...]:
        """Published results on it."""
        return results_on(self.name)

    def groups(self, split: Split) -> dict[str, np.ndarray]:
        """Each condition -> (Q,) bool: its queries. A condition of all queries, or of none, is left out."""
        if split.condition is None:
            return {}
        found = {name: np.isin(split.condition.astype(str), name.split("/")) for name in self.conditions}
        return {name: of_it for name, of_it in found.items() if of_it.any() and not of_it.all()}

    def check(self, root: str | os.PathLike) -> list[str]:
        """What is missing or misplaced in folder `root`, a line each; nothing when it is as published."""
        try:
            split = self._lists(root)
        except PlacesError as error:
            return [str(error)]
        sets = {"database": (split.database, self.database), "query": (split.queries, self.queries)}
        counts = [
            f"{len(places)} {which} photos are listed where the published set has {published}"
            for which, (places, published) in sets.items()
            if published not in (None, len(places))
        ]
        return _absent(split, Path(root)) + counts

    def read(self, root: str | os.PathLike) -> Split:
        """The benchmark in folder `root`; every photo is there.

        Errors: PlacesError where a file of the layout is not there or says something else than published, and, in one
        go, for all photos that are absent.
        """
        split = self._lists(root)
        problems = _absent(split, Path(root))
        if problems:
            raise PlacesError(f"{self.name}: {'; '.join(problems)}")
        return split

    def _lists(self, root: str | os.PathLike) -> Split:
        if not os.path.isdir(root):
            raise PlacesError(f"{root} is no folder; {self.name} is wanted there:\n{self.layout}")
        return self.reader(Path(os.path.abspath(root)))


def _absent(split: Split, root: Path) -> list[str]:
    """A line for the database and one for the queries where photos are not there."""
    lines = []
    for which, places in (("database", split.database), ("query", split.queries)):
        gone = places.path[~present(places.path)]
        if len(gone):
            named = ", ".join(os.path.relpath(path, root) for path in gone[:5])
            more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
            lines.append(f"{len(gone)} of {len(places)} {which} photos are absent in {root}: {named}{more}")
    return lines
