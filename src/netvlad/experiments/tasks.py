"""Tasks: a database and queries with the protocol that rankings are judged by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from netvlad.benchmarks import Benchmark, Split, benchmark
from netvlad.benchmarks.protocol import Protocol
from netvlad.benchmarks.published import PublishedResult
from netvlad.errors import NetvladError
from netvlad.evaluation.retrieval import Cropping, PrecisionJudge
from netvlad.evaluation.run import RecallJudge
from netvlad.places import Neighbours, Places, read_places
from netvlad.places.place_matches import place_matches
from netvlad.types import BoolArray, Ranker

RADIUS = 25.0  # metres within which photos may show one place, where the protocol has no radius


@dataclass(frozen=True, eq=False)
class Task:
    """A database and queries with the protocol that rankings are judged by.

    groups: name -> (Q,) bool, queries whose recall is reported apart. source: where the photos come from, as results
    state it. benchmark, split: None for photos of one's own. crop: whether queries are cropped to their region
    of interest.
    """

    name: str
    title: str
    database: Places
    queries: Places
    protocol: Protocol = field(default_factory=Protocol)
    groups: Mapping[str, BoolArray] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    benchmark: Benchmark | None = None
    split: Split | None = None
    crop: bool = False

    @property
    def is_map(self) -> bool:
        """Whether it is judged by mean average precision, not by recall."""
        return self.benchmark is not None and self.benchmark.kind == "map"

    @property
    def published(self) -> tuple[PublishedResult, ...]:
        """Published results on it."""
        return self.benchmark.published if self.benchmark else ()

    @property
    def as_is(self) -> bool:
        """Whether photos are to be described at their size."""
        return self.benchmark is not None and "as is" in self.protocol.query_resize

    @property
    def photos(self) -> list[str]:
        """Paths of the database, in the order of its rows."""
        return list(self.database.path)

    @cached_property
    def near(self) -> Neighbours:
        """For each database photo the database photos that may show the same place."""
        radius = RADIUS if self.is_map or self.protocol.radius is None else self.protocol.radius
        return place_matches(self.database, self.database, radius)

    def judge(self) -> RecallJudge | PrecisionJudge:
        """What judges rankings. Raises NetvladError where a rule of the protocol cannot be applied."""
        if self.is_map and self.benchmark and self.split:
            return PrecisionJudge(self.benchmark, self.split, crop=self.crop)
        listed = self.split.positives if self.split and self.protocol.radius is None else None
        return RecallJudge(self.database, self.queries, self.protocol, positives=listed, groups=self.groups)

    def cropped(self, ranker: Ranker) -> Ranker:
        """The ranker, asked with queries cropped to their regions of interest where the task wants that."""
        if not self.crop or self.split is None or self.split.roi is None:
            return ranker
        return Cropping(ranker, self.queries.path.tolist(), self.split.roi)

    @property
    def regions(self) -> dict[str, str]:
        """What cached rankings depend on beside the photos: a digest of the regions of interest."""
        if not self.crop or self.split is None or self.split.roi is None:
            return {}
        return {"regions": hashlib.sha256(self.split.roi.tobytes()).hexdigest()}


def benchmark_task(name: str, root: str | os.PathLike[str], *, whole_queries: bool = False) -> Task:
    """The benchmark called `name` in folder `root`, read and checked.

    whole_queries: do not crop queries to their regions of interest. Raises NetvladError for an unknown name, a missing
    folder, missing photos, and a benchmark without queries.
    """
    known = benchmark(name)
    if known.kind == "train":
        raise NetvladError(f"{known.name} has no queries: it is to train on")
    split = known.read(root)
    return Task(
        known.name,
        known.title,
        split.database,
        split.queries,
        known.protocol,
        known.groups(split),
        {"benchmark": known.name, "root": str(root)},
        known,
        split,
        crop=split.roi is not None and not whole_queries,
    )


def table_task(
    database: Places | str | os.PathLike[str],
    queries: Places | str | os.PathLike[str],
    protocol: Protocol | None = None,
) -> Task:
    """A task on tables of places, or on folders and files that `netvlad.read_places` reads. Raises PlacesError."""
    source = {
        kind: kind if isinstance(given, Places) else str(given)
        for kind, given in (("database", database), ("queries", queries))
    }
    name = f"{Path(source['queries']).stem} in {Path(source['database']).stem}"
    database = database if isinstance(database, Places) else read_places(database)
    queries = queries if isinstance(queries, Places) else read_places(queries)
    return Task(name, name, database, queries, protocol or Protocol(), source=source)
