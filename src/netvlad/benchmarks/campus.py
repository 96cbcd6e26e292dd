"""A folder of CSV tables: one place by day and by night, in two halves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import one_of
from netvlad.benchmarks.protocol import STANDARD
from netvlad.places.io.readers import read_places


def read(root: Path, database: str, queries: str) -> Split:
    """Read east_DATABASE.csv and east_QUERIES.csv; the other half, west, is for training."""
    asked = read_places(one_of(root, f"east_{queries}.csv"), strict=True)
    condition = np.full(len(asked), queries, object)
    return Split(read_places(one_of(root, f"east_{database}.csv"), strict=True), asked, condition=condition)


LAYOUT = """ROOT/
  east_day.csv east_night.csv west_day.csv west_night.csv    (path, lat, lon, time; paths relative to ROOT)
  photos/..."""


def _make(database: str, queries: str, counts: tuple[int, int]) -> Benchmark:
    return Benchmark(
        name=f"campus-{database}-{queries}",
        title=f"a university campus, database by {database}, queries by {queries}",
        reader=partial(read, database=database, queries=queries),
        images=sum(counts),
        database=counts[0],
        queries=counts[1],
        gigabytes=0.04,
        licence="internal: no licence, passers-by",
        source="a folder with these CSV files",
        how="from whoever has the folder",
        layout=LAYOUT,
        protocol=replace(STANDARD, radius=10.0, unmatched="drop"),  # 25 m would hold half of a plaza
        conditions=(queries,),
    )


ALL = (_make("day", "night", (318, 382)), _make("night", "day", (382, 318)))
