"""The durable part of an index: a Lance table of places and their descriptors, appended to in whole batches."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError, PlaceIndexWarning, first_line
from netvlad.maps.rows import half, place_sums, places_of, vector_sums
from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.runtime.files import flush
from netvlad.types import Array, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 1 << 26  # of vectors read at once
FRAGMENTS = 64  # more files than this are merged when an `add` ends
SUMS = ("place_sum", "vector_sum")  # XXH3 of the place and of the vector of each row
REMEDY = "restore the folder from a copy, or make the index anew from the photos"


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

    A batch given to `append` is stored whole or not at all, whatever kills the process. Each row carries checksums of
    its place and its vector, which are compared whenever these are read; a table of before there were any gets them
    with the next `append`. map_id: the index that it belongs to, "" in older ones. Raises PlaceIndexError where the
    table cannot be read or holds other bytes than were written.
    """

    def __init__(self, folder: Path) -> None:
        import lance

        self.folder = folder
        with self._reading():
            self._table = lance.dataset(str(folder))
            self.dim: int = self._table.schema.field("vector").type.list_size
            self.map_id = ((self._table.schema.metadata or {}).get(b"map", b"")).decode()
            self._columns = [name for name in COLUMNS if name in self._table.schema.names]  # older ones have fewer

    @classmethod
    def create(cls, folder: Path, dim: int, map_id: str = "") -> Store:
        """Write an empty table for vectors of length `dim`."""
        import lance

        mode = "overwrite" if folder.exists() else "create"  # an interrupted first attempt may have left one
        table = _schema(dim).with_metadata({"map": map_id}).empty_table()
        lance.write_dataset(table, str(folder), mode=mode)
        return cls(folder)

    def __len__(self) -> int:
        with self._reading():
            return int(self._table.count_rows())

    @property
    def has_sums(self) -> bool:
        """Whether rows carry checksums."""
        return set(SUMS) <= set(self._table.schema.names)

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, places: Places, stamps: list[FileStamp], digests: list[bytes], vectors: Array) -> None:
        """Add rows; when this returns they are on the disk. vectors (n, dim) float32."""
        import pyarrow as pa

        if not self.has_sums:
            self._add_sums()
        rounded = np.ascontiguousarray(vectors, dtype=np.float16)
        columns = {name: pa.array(getattr(places, name)) for name in self._columns}
        columns["size"] = pa.array([s.size for s in stamps], pa.int64())
        columns["mtime_ns"] = pa.array([s.mtime_ns for s in stamps], pa.int64())
        columns["digest"] = pa.array(digests, pa.binary(16))
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(rounded.reshape(-1)), self.dim)
        columns["place_sum"] = pa.array(place_sums(places, self._columns))
        columns["vector_sum"] = pa.array(vector_sums(rounded))
        names = self._table.schema.names
        self._table.insert(pa.table({name: columns[name] for name in names}).cast(self._table.schema), mode="append")
        newest = self._table.get_fragments()[-1].data_files()[0].path
        self._sync(self.folder / "data" / newest, self.folder / "data")

    def _add_sums(self) -> None:
        """Give the rows of an older table their checksums."""
        import pyarrow as pa

        def sums(batch: pa.RecordBatch) -> pa.RecordBatch:
            places = places_of(pa.table(batch), self._columns)
            vectors = half(batch.column("vector"), self.dim)
            found = [pa.array(place_sums(places, self._columns)), pa.array(vector_sums(vectors))]
            return pa.record_batch(found, names=list(SUMS))

        if len(self):
            self._table.add_columns(sums, read_columns=[*self._columns, "vector"])
        else:
            self._table.add_columns([pa.field(name, pa.uint64()) for name in SUMS])
        data = self.folder / "data"
        self._sync(*data.glob("*"), data)

    def remove_replaced(self) -> list[str]:
        """Remove rows whose path a later row has again, as after an edit of the photo; returns those paths."""
        import pyarrow.compute as pc

        last: dict[str, int] = {}
        older: list[tuple[int, str]] = []
        with self._reading():
            paths = self._table.to_table(columns=["path"]).column("path")
            if pc.count_distinct(paths).as_py() == len(paths):
                return []
            for batch in self._table.to_batches(columns=["path"], with_row_id=True):
                for path, row in zip(*(batch.column(name).to_pylist() for name in ("path", "_rowid")), strict=True):
                    if path in last:
                        older.append((last[path], path))
                    last[path] = row
        for first in range(0, len(older), 1000):
            rows = ", ".join(str(row) for row, _ in older[first : first + 1000])
            self._table.delete(f"_rowid IN ({rows})")
        if older:
            deletions = self.folder / "_deletions"
            self._sync(*deletions.iterdir(), deletions)
        return sorted({path for _, path in older})

    def _sync(self, *written: Path) -> None:
        """Flush files and the newest version to the disk: a rename outlives a kill, but not a power cut."""
        versions = self.folder / "_versions"
        manifest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
        flush(*written, manifest, versions)

    def merge(self) -> None:
        """Merge small files once they are many, and delete files that no recent version needs; rows keep their order.

        Versions of the last hour stay, since another process may be reading one; with a PlaceIndexWarning all stay if
        an older one is damaged, which this one does not need.
        """
        from datetime import timedelta

        with self._reading():
            if len(self._table.get_fragments()) > FRAGMENTS:
                self._table.optimize.compact_files()
        try:
            with self._reading():
                self._table.cleanup_old_versions(older_than=timedelta(hours=1))
        except PlaceIndexError as e:
            cause = first_line(e.__cause__ or e)
            text = f"{self.folder}: files of old versions stay, since one of them is damaged ({cause})"
            warnings.warn(text, PlaceIndexWarning, stacklevel=3)

    # -- reading ------------------------------------------------------------------------------------------------

    def seen(self) -> tuple[dict[str, FileStamp], set[bytes]]:
        """The stamp of each path, and the digests of all contents."""
        stamps: dict[str, FileStamp] = {}
        digests: set[bytes] = set()
        with self._reading():
            for batch in self._table.to_batches(columns=["path", "size", "mtime_ns", "digest"]):
                path, size, mtime, digest = (column.to_pylist() for column in batch.columns)
                stamps |= {p: FileStamp(s, m) for p, s, m in zip(path, size, mtime, strict=True)}
                digests |= set(digest)
        return stamps, digests

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Blocks of vectors (n, dim) float32 from row `start` on, in order."""
        rows, step = len(self), max(1, BLOCK_BYTES // (4 * self.dim))
        wanted = ["vector", "vector_sum"] if self.has_sums else ["vector"]
        for first in range(start, rows, step):
            with self._reading():
                table = self._table.to_table(columns=wanted, offset=first, limit=min(step, rows - first))
                vectors = half(table.column("vector"), self.dim)
            if self.has_sums:
                self._compare(vector_sums(vectors), table.column("vector_sum"), range(first, rows), "vector")
            yield vectors.astype(np.float32)

    def places(self, rows: Array | None = None) -> Places:
        """The places of `rows`, in that order, or all."""
        columns = [*self._columns, "place_sum"] if self.has_sums else self._columns
        with self._reading():
            read = self._table.to_table if rows is None else partial(self._table.take, [int(row) for row in rows])
            table = read(columns=columns)
            places = places_of(table, self._columns)
        if self.has_sums:
            sums = place_sums(places, self._columns)
            self._compare(sums, table.column("place_sum"), range(len(places)) if rows is None else rows, "place")
        return places

    def fingerprint(self, rows: int) -> bytes:
        """16 bytes that tell the first `rows` rows apart from any others; empty where rows carry no checksums."""
        import xxhash

        if not self.has_sums:
            return b""
        found = xxhash.xxh3_128(self.map_id.encode())
        if rows:
            with self._reading():
                table = self._table.to_table(columns=list(SUMS), limit=rows)
            for name in SUMS:
                found.update(table.column(name).to_numpy().data)
        return found.digest()

    def _compare(self, found: Array, written: Any, rows: Sequence[int] | Array, what: str) -> None:
        bad = np.flatnonzero(found != written.to_numpy())
        if len(bad):
            raise PlaceIndexError(f"the {what} of row {rows[int(bad[0])]} is damaged: {REMEDY}", path=self.folder)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except BaseException as e:
            panicked = type(e).__name__ == "PanicException"  # of Lance's Rust code: no Exception, and not importable
            if isinstance(e, NetvladError) or not (isinstance(e, Exception) or panicked):
                raise
            reason = f"the table of places cannot be read ({first_line(e)}): {REMEDY}"
            raise PlaceIndexError(reason, path=self.folder) from e


def _schema(dim: int) -> pa.Schema:
    import pyarrow as pa

    kinds = {object: pa.string(), "datetime64[s]": pa.timestamp("s")}
    fields = [(name, kinds.get(COLUMNS[name]) or pa.from_numpy_dtype(COLUMNS[name])) for name in COLUMNS]
    fields += [("size", pa.int64()), ("mtime_ns", pa.int64()), ("digest", pa.binary(16))]
    return pa.schema([*fields, ("vector", pa.list_(pa.float16(), dim)), *((name, pa.uint64()) for name in SUMS)])
