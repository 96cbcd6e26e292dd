"""Columns that tables of earlier versions lack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.maps.rows import SOURCE_SUM, SUMS, half, place_sums, places_of, schema, source_sums, vector_sums
from netvlad.maps.versions import flush_version, spot_of
from netvlad.places.table import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


def add_missing_columns(table: Any, columns: Sequence[str], dim: int) -> None:
    """Give the Lance dataset `table`, which has `columns` of places, labels of places, sources and checksums."""
    names = table.schema.names
    if "place" not in names and set(SUMS) <= set(names):  # these are of all that is known of a place
        table.drop_columns(list(SUMS))
        names = table.schema.names
    missing = [name for name in ("place", "source", *SUMS, SOURCE_SUM) if name not in names]
    if not missing:
        return
    if table.count_rows():
        make = partial(_made, columns=columns, names=missing, dim=dim)
        sources = ["source"] if "source" in names else []
        table.add_columns(make, read_columns=[*columns, *(["vector"] if SUMS[0] in missing else []), *sources])
    else:
        table.add_columns([schema(dim).field(name) for name in missing])
    flush_version(spot_of(table), "data")


def _made(batch: pa.RecordBatch, columns: Sequence[str], names: Sequence[str], dim: int) -> pa.RecordBatch:
    """The columns `names` for rows with `columns` of places, and vectors and sources where these are needed."""
    import pyarrow as pa

    empty = pa.array(np.full(batch.num_rows, "", object), pa.string())
    sources = batch.column("source") if "source" in batch.schema.names else empty
    found = {"place": empty, "source": empty, SOURCE_SUM: source_sums(sources)}
    if SUMS[0] in names:
        known = [name for name in COLUMNS if name in columns or name in names]
        sums = place_sums(places_of(pa.table(batch), columns), known), vector_sums(half(batch.column("vector"), dim))
        found |= dict(zip(SUMS, map(pa.array, sums), strict=True))
    return pa.record_batch([found[name] for name in names], names=list(names))
