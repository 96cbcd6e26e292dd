"""The durable part of an index: a Lance table of places and their descriptors, appended to in whole batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.types import Array, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa
from netvlad.runtime.files import flush

BLOCK_BYTES = 1 << 26  # of vectors read at once
FRAGMENTS = 64  # more files than this are merged when an `add` ends


@dataclass(frozen=True)
class FileStamp:
    """Size and time of change of a file, which tell without reading it that it is the one already described."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> FileStamp:
        """The stamp of the file at `path`, -1 and -1 where there is none."""
        try:
            stat = os.stat(path)
        except (OSError, ValueError):  # ValueError: a null character in it
            return cls(-1, -1)
        return cls(stat.st_size, stat.st_mtime_ns)


class Store:
    """Rows of (place, file stamp, digest of the file's content, vector as float16), in the order they were added.

    A batch given to `append` is stored whole or not at all, whatever kills the process. Raises PlaceIndexError where
    the table cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        import lance

        self.folder = folder
        try:
            self._table = lance.dataset(str(folder))
        except (OSError, ValueError) as e:
            raise PlaceIndexError(f"the table of places cannot be opened ({e})", path=folder) from e
        self.dim: int = self._table.schema.field("vector").type.list_size
        self._columns = [name for name in COLUMNS if name in self._table.schema.names]  # older ones have fewer

    @classmethod
    def create(cls, folder: Path, dim: int) -> Store:
        """Write an empty table for vectors of length `dim`."""
        import lance

        mode = "overwrite" if folder.exists() else "create"  # an interrupted first attempt may have left one
        lance.write_dataset(_schema(dim).empty_table(), str(folder), mode=mode)
        return cls(folder)

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def append(self, places: Places, stamps: list[FileStamp], digests: list[bytes], vectors: Array) -> None:
        """Add rows; when this returns they are on the disk. vectors (n, dim) float32."""
        import pyarrow as pa

        half = pa.array(np.ascontiguousarray(vectors, dtype=np.float16).reshape(-1))
        columns = {name: pa.array(getattr(places, name)) for name in self._columns}
        columns["size"] = pa.array([s.size for s in stamps], pa.int64())
        columns["mtime_ns"] = pa.array([s.mtime_ns for s in stamps], pa.int64())
        columns["digest"] = pa.array(digests, pa.binary(16))
        columns["vector"] = pa.FixedSizeListArray.from_arrays(half, self.dim)
        self._table.insert(pa.table(columns).cast(_schema(self.dim, self._columns)), mode="append")
        self._sync()

    def _sync(self) -> None:
        """Flush the newest fragment and version to the disk: a rename outlives a kill, but not a power cut."""
        data, versions = self.folder / "data", self.folder / "_versions"
        newest = self._table.get_fragments()[-1].data_files()[0].path
        manifest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
        flush(data / newest, data, manifest, versions)

    def merge(self) -> None:
        """Merge small files once they are many; rows keep their order.

        Versions of the last hour stay, since another process may be reading one.
        """
        from datetime import timedelta

        if len(self._table.get_fragments()) > FRAGMENTS:
            self._table.optimize.compact_files()
            self._table.cleanup_old_versions(older_than=timedelta(hours=1))

    def seen(self) -> tuple[dict[str, FileStamp], set[bytes]]:
        """The stamp of each path, and the digests of all contents."""
        stamps: dict[str, FileStamp] = {}
        digests: set[bytes] = set()
        for batch in self._table.to_batches(columns=["path", "size", "mtime_ns", "digest"]):
            path, size, mtime, digest = (column.to_pylist() for column in batch.columns)
            stamps |= {p: FileStamp(s, m) for p, s, m in zip(path, size, mtime, strict=True)}
            digests |= set(digest)
        return stamps, digests

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Blocks of vectors (n, dim) float32 from row `start` on, in order."""
        import pyarrow as pa

        rows, step = len(self), max(1, BLOCK_BYTES // (4 * self.dim))
        for first in range(start, rows, step):
            table = self._table.to_table(columns=["vector"], offset=first, limit=min(step, rows - first))
            column = table.column("vector").combine_chunks()
            column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column  # it depends on the version
            yield column.flatten().to_numpy().reshape(-1, self.dim).astype(np.float32)

    def places(self, rows: Array | None = None) -> Places:
        """The places of `rows`, in that order, or all."""
        columns = self._columns
        table = self._table.to_table(columns=columns) if rows is None else self._table.take(list(rows), columns=columns)
        read: dict[str, Any] = {name: table.column(name).to_numpy().astype(COLUMNS[name]) for name in columns}
        missing: dict[str, Any] = {name: np.full(table.num_rows, "", object) for name in COLUMNS if name not in read}
        return Places(**read, **missing)


def _schema(dim: int, columns: Iterable[str] = tuple(COLUMNS)) -> pa.Schema:
    import pyarrow as pa

    kinds = {object: pa.string(), "datetime64[s]": pa.timestamp("s")}
    fields = [(name, kinds.get(COLUMNS[name]) or pa.from_numpy_dtype(COLUMNS[name])) for name in columns]
    fields += [("size", pa.int64()), ("mtime_ns", pa.int64()), ("digest", pa.binary(16))]
    return pa.schema([*fields, ("vector", pa.list_(pa.float16(), dim))])
