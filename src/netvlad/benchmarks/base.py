"""A benchmark: its facts, its rules, and how its folder becomes tables of places."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from netvlad.benchmarks.layout import present
from netvlad.benchmarks.protocol import STANDARD, Protocol
from netvlad.benchmarks.published import PublishedResult, results_on
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import Array, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Split:
    """A database of D photos and Q queries, with the benchmark's own ground truth.

    positives, junk: for each query the database rows (int64) that are correct, and those that do not count; None if
    positions define what is correct, or nothing is junk.
    roi (Q, 4) float64: the region of interest of each query, left, top, right, bottom in pixels; None, whole photos.
    condition (Q,) object: such as "day". names (Q,) object: the benchmark's names of its queries.
    """

    database: Places
    queries: Places
    positives: list[IntArray] | None = None
    junk: list[IntArray] | None = None
    roi: Array | None = None
    condition: Array | None = None
    names: Array | None = None

    def __post_init__(self) -> None:
        for name in ("positives", "junk", "roi", "condition", "names"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.queries):
                raise PlacesError(f"{name} of {len(value)} queries, but there are {len(self.queries)}")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """One benchmark, or one of its sets of queries.

    reader: folder -> Split; it does not look at photos. images: number of photos in all. database, queries: number in
    the published set, None unknown. gigabytes: approximate size on disk, None unknown. licence, source, how, layout:
    for a person.

    kind: "recall" (recall@N), "map" (mean average precision) or "train" (no queries). protocol: the rules; its
    `benchmark` is set to the name. conditions: values of `Split.condition` that are reported separately; "sunset/night"
    is the union of both.
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
        """Published results on this benchmark."""
        return results_on(self.name)

    def groups(self, split: Split) -> dict[str, BoolArray]:
        """The queries of each condition, (Q,) bool. A condition of all queries, or of none, is left out."""
        if split.condition is None:
            return {}
        found = {name: np.isin(split.condition.astype(str), name.split("/")) for name in self.conditions}
        return {name: of_it for name, of_it in found.items() if of_it.any() and not of_it.all()}

    def check(self, root: str | os.PathLike[str]) -> list[str]:
        """Problems of folder `root`, a line each: what is missing or misplaced.

        Without any it is as published where the set is `counted`; otherwise photos that no list names may be missing,
        and only a set of less than half or more than twice the approximate size is a problem.
        """
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
        listed = len(split.database) + len(split.queries)
        if not self.counted and self.images and not self.images / 2 <= listed <= self.images * 2:
            counts.append(f"{listed} photos are listed where the published set has about {self.images:,}")
        return _absent(split, Path(root)) + counts

    @property
    def counted(self) -> bool:
        """Whether it is known exactly how many photos the published set has."""
        return self.database is not None and (self.queries is not None or self.kind == "train")

    def read(self, root: str | os.PathLike[str]) -> Split:
        """Read the benchmark in folder `root`.

        Raises PlacesError if a file of the layout is missing or differs from the published one, or photos are absent.
        """
        split = self._lists(root)
        problems = _absent(split, Path(root))
        if problems:
            raise PlacesError(f"{self.name}: {'; '.join(problems)}")
        return split

    def _lists(self, root: str | os.PathLike[str]) -> Split:
        if not os.path.isdir(root):
            raise PlacesError(f"is no folder; the layout of {self.name} is:\n{self.layout}", path=root)
        return self.reader(Path(os.path.abspath(root)))


def _absent(split: Split, root: Path) -> list[str]:
    """A line for the database and one for the queries if photos are absent."""
    lines = []
    for which, places in (("database", split.database), ("query", split.queries)):
        gone = places.path[~present(places.path)]
        if len(gone):
            named = ", ".join(os.path.relpath(path, root) for path in gone[:5])
            more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
            lines.append(f"{len(gone)} of {len(places)} {which} photos are absent in {root}: {named}{more}")
    return lines
