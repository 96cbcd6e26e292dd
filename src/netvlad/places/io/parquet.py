"""Read Parquet and GeoParquet into named columns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.columns import Raw
from netvlad.places.io.geometry import add_points, wkb_points
from netvlad.places.io.roles import roles

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from netvlad.places.values import Column

MOST_ROWS = 100_000_000
FEW_ROWS = 100_000
ROWS_A_BYTE = 10  # of the file; rows of photos that differ take several bytes each
FEW_BYTES = 100_000_000
BYTES_A_ROW = 1000  # on average in one column
BATCH = 4096  # rows


def read_parquet(path: str, given: Mapping[str, str]) -> Raw:
    """The columns that are of use, and the points of GeoParquet. given: as in `roles`.

    A few bytes can stand for billions of equal rows, so rows are counted by the file's metadata before any is read.
    Raises PlacesError for another file, for far more rows than its size explains, and for columns of other types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)  # read_table would add folders as columns
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PlacesError(f"cannot be read as Parquet: {error}", path=path) from None
    try:
        rows = _count(file, path)
        geo = _geo(schema.metadata or {}, path)
        names = [name for name in schema.names if name not in geo["columns"]]
        used = list(roles(names, path, given).values())
        point = _point_column(geo, schema, path)
        for name in used:
            _check(schema.field(name), path)
        unread = [name for name in names if name not in used]
        raw = Raw(path, {}, range(1, rows + 1), unread=unread, given=given)
        for name in used:
            raw.columns[name] = _cells(_read(path, name, file.metadata), raw, name)
        if point:
            cells = _shared(_read(path, point, file.metadata))
            add_points(raw, wkb_points(cells, raw), geo["columns"][point].get("crs", "OGC:CRS84"))
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, LookupError) as error:
        raise PlacesError(f"cannot be read as Parquet: {error}", path=path) from None
    finally:
        file.close()
    return raw


def _count(file: pq.ParquetFile, path: str) -> int:
    rows: int = file.metadata.num_rows
    if rows < 0 or rows > min(MOST_ROWS, FEW_ROWS + ROWS_A_BYTE * os.path.getsize(path)):
        raise PlacesError(
            f"states {rows:,} rows in {os.path.getsize(path):,} bytes; a table has a photo of its own in each row, "
            f"and at most {MOST_ROWS:,}",
            path=path,
        )
    return rows


def _geo(metadata: dict[bytes, bytes], path: str) -> dict[str, Any]:
    """GeoParquet's metadata, whose entry "columns" is name -> facts and is empty for plain Parquet."""
    if b"geo" not in metadata:
        return {"columns": {}}
    try:
        geo = json.loads(metadata[b"geo"])
    except (ValueError, RecursionError) as error:
        raise PlacesError(f"its GeoParquet metadata are no JSON: {error}", path=path) from None
    columns = geo.get("columns") if isinstance(geo, dict) else None
    if not isinstance(columns, dict) or not all(isinstance(facts, dict) for facts in columns.values()):
        raise PlacesError('its GeoParquet metadata have no "columns" with facts on each geometry', path=path)
    return dict(geo)


def _point_column(geo: dict[str, Any], schema: pa.Schema, path: str) -> str | None:
    """The name of the geometry; None for plain Parquet."""
    import pyarrow as pa

    if geo == {"columns": {}}:
        return None
    name = geo.get("primary_column", "geometry")
    facts = geo["columns"].get(name, {}) if isinstance(name, str) else {}
    if facts.get("encoding") != "WKB" or schema.names.count(name) != 1:
        reason = f"geometry column {name!r} is encoded as {facts.get('encoding')}; WKB is read"
        raise PlacesError(reason, path=path)
    kind = _plain(schema.field(name).type)
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view"):
        raise PlacesError(f"geometry column {name!r} holds {kind}, and WKB is bytes", path=path)
    return str(name)


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check(field: pa.Field, path: str) -> None:
    """Raise PlacesError for a column that does not hold one text, number or time in each row."""
    import pyarrow as pa

    kind, types = _plain(field.type), pa.types
    if str(kind) in ("string_view", "binary_view"):  # `pa.types` knows them since version 16
        return
    single = (
        (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
        + (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
        + (types.is_date, types.is_timestamp, types.is_time)
    )
    if not any(is_one(kind) for is_one in single):
        raise PlacesError(f"column {field.name!r} holds {kind}; expected text, numbers or times", path=path)


def _read(path: str, name: str, about: pq.FileMetaData) -> pa.ChunkedArray:
    """One column. Texts stay a dictionary where they are one in the file: one text of a million rows is held once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema == name]
    texts = all(chunk.physical_type == "BYTE_ARRAY" for chunk in chunks)
    shared = texts and all(c.has_dictionary_page and "DELTA_BYTE_ARRAY" not in c.encodings for c in chunks)
    sizes = [chunk.total_uncompressed_size for chunk in chunks]
    parts: list[pa.Array] = []  # each with the whole dictionary, hence in one batch
    with pq.ParquetFile(path, read_dictionary=[name] if shared else []) as file:
        for batch in file.iter_batches(max(1, about.num_rows) if shared else BATCH, columns=[name]):
            parts.append(batch.column(0))
            sizes += [] if shared else [parts[-1].nbytes]
            if sum(sizes) > FEW_BYTES + BYTES_A_ROW * about.num_rows:
                raise PlacesError(f"column {name!r} has cells of more than {BYTES_A_ROW:,} bytes each", path=path)
    if sum(map(len, parts)) != about.num_rows:
        raise PlacesError(f"column {name!r} is not as long as the table of {about.num_rows:,} rows", path=path)
    return pa.chunked_array(parts, None if parts else pa.null())


def _cells(column: pa.ChunkedArray, raw: Raw, name: str) -> Column:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        raw.utc |= {name} if kind.tz else set()
        return np.asarray(column.to_numpy()).astype("datetime64[s]")
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not column.null_count):
        return np.asarray(column.to_numpy())
    if pa.types.is_date(kind) or pa.types.is_time(kind):  # as text: years beyond 9999 are no dates of Python's
        return list(column.cast(pa.string()).to_pylist())
    cells = _shared(column) if pa.types.is_dictionary(kind) else list(column.to_pylist())
    # some writers do not mark their texts as UTF-8
    return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]


def _shared(column: pa.ChunkedArray) -> list[Any]:
    """The cells of a column; equal ones of a dictionary are one object."""
    import pyarrow as pa

    cells: list[Any] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            cells += chunk.to_pylist()
            continue
        known = chunk.dictionary.to_pylist()
        cells += [None if at is None else known[at] for at in chunk.indices.to_pylist()]
    return cells
