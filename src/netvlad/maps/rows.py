"""Rows of an index's table as arrays, and the checksums that are stored with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.types import Array

if TYPE_CHECKING:
    import pyarrow as pa


def half(column: Any, dim: int) -> Array:
    """A column of vectors as (n, dim) float16."""
    import pyarrow as pa

    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column  # it depends on the version
    vectors: Array = column.flatten().to_numpy().reshape(-1, dim)
    return vectors


def places_of(table: pa.Table, columns: Sequence[str]) -> Places:
    """The places in a table that has `columns`."""
    read: dict[str, Any] = {name: table.column(name).to_numpy().astype(COLUMNS[name]) for name in columns}
    missing: dict[str, Any] = {name: np.full(table.num_rows, "", object) for name in COLUMNS if name not in read}
    return Places(**read, **missing)


def place_sums(places: Places, columns: Sequence[str]) -> Array:
    """XXH3 of each place, of its `columns`: (n,) uint64."""
    import xxhash

    fixed = [np.ascontiguousarray(getattr(places, name)) for name in columns if COLUMNS[name] is not object]
    numbers = [column.astype(np.int64 if column.dtype.kind in "Mbiu" else np.float64) for column in fixed]
    packed = np.ascontiguousarray(np.stack([column.view(np.uint64) for column in numbers], axis=1))
    texts = zip(*(getattr(places, name) for name in columns if COLUMNS[name] is object), strict=True)
    joined = ("\0".join(row).encode() for row in texts)
    sums = (xxhash.xxh3_64_intdigest(row.tobytes() + text) for row, text in zip(packed, joined, strict=True))
    return np.fromiter(sums, np.uint64, len(places))


def vector_sums(vectors: Array) -> Array:
    """XXH3 of each row of (n, dim) float16: (n,) uint64."""
    import xxhash

    rows = np.ascontiguousarray(vectors).view(np.uint8)
    return np.fromiter((xxhash.xxh3_64_intdigest(row.data) for row in rows), np.uint64, len(vectors))
