"""Rows of an index's table as arrays, and the checksums that are stored with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.maps.remote import Spot
from netvlad.maps.versions import REMEDY
from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.types import Array

if TYPE_CHECKING:
    import pyarrow as pa

SUMS = ("place_sum", "vector_sum")  # XXH3 of the place and of the vector of each row
SOURCE_SUM = "source_sum"  # XXH3 of the source of each row


def schema(dim: int) -> pa.Schema:
    """The columns of a new table for vectors of length `dim`.

    path: relative to the map's root where it is below it. source: the folder or table that the photo came from, stored
    as paths are, "" unknown.
    """
    import pyarrow as pa

    kinds = {object: pa.string(), "datetime64[s]": pa.timestamp("s")}
    fields = [(name, kinds.get(COLUMNS[name]) or pa.from_numpy_dtype(COLUMNS[name])) for name in COLUMNS]
    fields += [("size", pa.int64()), ("mtime_ns", pa.int64()), ("digest", pa.binary(16)), ("source", pa.string())]
    return pa.schema(
        [*fields, ("vector", pa.list_(pa.float16(), dim)), *((name, pa.uint64()) for name in (*SUMS, SOURCE_SUM))]
    )


def check_schema(found: pa.Schema) -> None:
    """Raise ValueError unless a table has the columns of `schema`, but for those that earlier versions lack."""
    wanted = schema(found.field("vector").type.list_size)
    strange = [field.name for field in found if field.name not in wanted.names or wanted.field(field.name) != field]
    missing = set(wanted.names) - set(found.names) - {"place", "source", *SUMS, SOURCE_SUM}
    if strange or missing:
        raise ValueError(f"has the columns {', '.join(found.names)}")


def half(column: Any, dim: int) -> Array:
    """A column of vectors as (n, dim) float16."""
    import pyarrow as pa

    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column  # it depends on the version
    vectors: Array = column.flatten().to_numpy().reshape(-1, dim)
    return vectors


def vector_column(vectors: Array) -> pa.Array:
    """(n, dim) float16 as a column of vectors."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).reshape(-1)), vectors.shape[1])


def digest_array(column: Any) -> Array:
    """A column of digests as S16 (n,)."""
    import pyarrow as pa

    joined = pa.concat_arrays([pa.array([], pa.binary(16)), *column.chunks])
    return np.frombuffer(joined.buffers()[1] or b"", "S16", len(joined), joined.offset * 16)


def places_of(table: pa.Table, columns: Sequence[str]) -> Places:
    """The places in a table that has `columns`."""
    read: dict[str, Any] = {name: table.column(name).to_numpy().astype(COLUMNS[name]) for name in columns}
    missing: dict[str, Any] = {name: np.full(table.num_rows, "", object) for name in COLUMNS if name not in read}
    return Places(**read, **missing)


def place_columns(places: Places, columns: Sequence[str]) -> dict[str, pa.Array]:
    """The `columns` of places as columns of a table."""
    import pyarrow as pa

    kinds = {name: pa.string() if COLUMNS[name] is object else None for name in columns}
    return {name: pa.array(getattr(places, name), kinds[name]) for name in columns}


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


def source_sums(sources: pa.Array) -> pa.Array:
    """XXH3 of each source, uint64 (n,): there are few of them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import xxhash

    different = pc.unique(sources)
    sums = pa.array([xxhash.xxh3_64_intdigest(source.encode()) for source in different.to_pylist()], pa.uint64())
    return pc.take(sums, pc.index_in(sources, different))


def vector_sums(vectors: Array) -> Array:
    """XXH3 of each row of (n, dim) float16: (n,) uint64."""
    import xxhash

    rows = np.ascontiguousarray(vectors).view(np.uint8)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, rows), np.uint64, len(vectors))


def compare(found: Array, written: Any, rows: Sequence[int] | Array, what: str, folder: Spot) -> None:
    """Raise PlaceIndexError where a checksum that is `found` is not the one `written` for that of `rows` (n,)."""
    bad = np.flatnonzero(found != written.to_numpy())
    if len(bad):
        raise PlaceIndexError(f"the {what} of row {rows[int(bad[0])]} is damaged: {REMEDY}", path=folder)
