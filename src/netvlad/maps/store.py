"""The durable part of an index: a Lance table of places and their descriptors, written in whole batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.maps.fingerprints import Fingerprints
from netvlad.maps.remote import Spot, beside
from netvlad.maps.roots import Root
from netvlad.maps.rows import (
    SOURCE_SUM,
    SUMS,
    check_schema,
    compare,
    digest_array,
    half,
    place_columns,
    place_sums,
    places_of,
    schema,
    source_sums,
    vector_column,
    vector_sums,
)
from netvlad.maps.stamps import FileStamp
from netvlad.maps.upgrade import add_missing_columns
from netvlad.maps.versions import commit, create, lost_version, merge, reading
from netvlad.places import Places
from netvlad.places.table import COLUMNS
from netvlad.types import Array, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 1 << 26  # of vectors read at once
BLOCK_ROWS = 1 << 20  # of which other columns are read at once, where not all may be in memory


class Store:
    """Rows of (place, file stamp, digest of the file's content, source, vector as float16).

    A batch is stored whole or not at all, whatever kills the process: the rows that go and those that come are one
    version of the table. Rows keep their order, and new ones stand at the end. Each carries checksums of its place,
    vector and source, compared whenever these are read; a table of before there were any gets them with the next
    `upgrade`. map_id: the index that it belongs to, "" in older ones. Paths are stored relative to `root`, absolute
    wherever they are given or returned. Raises PlaceIndexError where the table cannot be read or is not as written.
    """

    def __init__(self, folder: Spot, root: Root | None = None, version: int | None = None) -> None:
        self.folder = folder
        self.root = Root() if root is None else root
        self._fingerprints = Fingerprints(beside(folder, ".fingerprints.json"))
        self.reopen(version)
        with self._reading():
            self.dim: int = self._table.schema.field("vector").type.list_size
            self.map_id = ((self._table.schema.metadata or {}).get(b"map", b"")).decode()
            check_schema(self._table.schema)

    def reopen(self, version: int | None = None) -> None:
        """Read the newest version from now on, or another."""
        import lance

        with self._reading():
            self._table = lance.dataset(str(self.folder), version=version)

    @classmethod
    def create(cls, folder: Spot, dim: int, map_id: str = "") -> Store:
        """Write an empty table for vectors of length `dim`; an interrupted first attempt may have left one."""
        create(folder, schema(dim).with_metadata({"map": map_id}))
        return cls(folder)

    def __len__(self) -> int:
        with self._reading():
            return int(self._table.count_rows())

    @property
    def version(self) -> int:
        """The number of the version that is read."""
        return int(self._table.version)

    def is_newest(self) -> bool:
        """Whether no later version has been written."""
        with self._reading():
            return bool(self._table.latest_version == self._table.version)

    @property
    def lost_version(self) -> int:
        """The number of a later version that was finished and is not there any more, 0 for none."""
        return lost_version(self._table)

    @property
    def has_sums(self) -> bool:
        """Whether rows carry checksums."""
        return set(SUMS) <= set(self._table.schema.names)

    @property
    def has_sources(self) -> bool:
        """Whether rows say where they came from."""
        return "source" in self._table.schema.names

    @property
    def _columns(self) -> list[str]:
        return [name for name in COLUMNS if name in self._table.schema.names]  # older ones have fewer

    def upgrade(self) -> None:
        """Give an older table the columns that it lacks: labels of places, sources and checksums."""
        add_missing_columns(self._table, self._columns, self.dim)

    def append(
        self,
        places: Places,
        stamps: list[FileStamp],
        digests: list[bytes],
        vectors: Array,
        *,
        source: str = "",
        without: Array | None = None,
    ) -> None:
        """Add rows; when this returns they are on the disk. vectors (n, dim) float32.

        source: the folder or table that they came from. without: ids of rows that go in the same version, as `held`
        gives them.
        """
        import pyarrow as pa

        self.upgrade()
        rounded = np.ascontiguousarray(vectors, dtype=np.float16)
        columns = {
            "size": pa.array([s.size for s in stamps], pa.int64()),
            "mtime_ns": pa.array([s.mtime_ns for s in stamps], pa.int64()),
            "digest": pa.array(digests, pa.binary(16)),
            "source": pa.array([source] * len(places), pa.string()),
            "vector": vector_column(rounded.reshape(-1, self.dim)),
            "vector_sum": pa.array(vector_sums(rounded)),
        }
        self._write(places, columns, without)

    def rewrite(
        self,
        rows: Array,
        old: Store,
        places: Places,
        stamps: tuple[Array, Array],
        sources: Sequence[str],
        without: Array,
    ) -> None:
        """Put rows of other places, stamps and sources in the place of rows, with the content they have.

        rows (n,): indices in `old`, an opening of this table. stamps: sizes and times of change, int64 (n,) each.
        without: ids of rows that go, among them those of `rows`.
        """
        import pyarrow as pa

        kept = old.taken(rows, ["digest", "vector", "vector_sum"])
        columns = {name: kept.column(name) for name in kept.column_names}
        columns |= {"size": pa.array(stamps[0]), "mtime_ns": pa.array(stamps[1])}
        columns["source"] = pa.array(sources, pa.string())
        self._write(places, columns, without)

    def put(self, rows: pa.Table) -> None:
        """Append rows as `taken` gives them, of a table whose paths are stored relative to the same folder."""
        self._table = commit(self._table, None, rows.cast(self._table.schema))

    def remove(self, without: Array) -> None:
        """Remove the rows with these ids, as `held` gives them."""
        self._table = commit(self._table, without, None)

    def _write(self, places: Places, columns: dict[str, Any], without: Array | None) -> None:
        import pyarrow as pa

        stored = replace(places, path=self.root.stored_objects(places.path))
        columns |= place_columns(stored, self._columns)
        columns["place_sum"] = pa.array(place_sums(stored, self._columns))
        columns[SOURCE_SUM] = source_sums(columns["source"])
        table = pa.table({name: columns[name] for name in self._table.schema.names}).cast(self._table.schema)
        self._table = commit(self._table, without, table)

    def merge(self) -> None:
        """Merge small files, and delete files that no recent version needs; rows keep their order."""
        merge(self._table)

    def held(self, columns: Sequence[str] | None = None, rows: IntArray | None = None) -> pa.Table:
        """All rows without vectors and checksums, or some of their columns, and `_rowid`, the id of each row.

        rows (n,): ascending; the others are left out, and are not in memory together. Ids hold until the files of the
        table are merged. Paths and sources are as `root` stores them; `absolute` tells of rows whose path is absolute,
        though it is below the root.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        every = self._table.schema.names
        names = [n for n in every if n not in ("vector", *SUMS, SOURCE_SUM)] if columns is None else list(columns)
        sealed = [SOURCE_SUM] if "source" in names and SOURCE_SUM in every else []
        with self._reading():
            if rows is None:
                table = self._table.to_table(columns=[*names, *sealed], with_row_id=True).combine_chunks()
            else:
                none = self._table.to_table(columns=[*names, *sealed], limit=0, with_row_id=True)
                parts = [part for _, part in self.blocks([*names, *sealed], rows)]
                table = pa.concat_tables([none, *parts]).combine_chunks()
        if sealed:
            found = source_sums(table.column("source")).to_numpy()
            numbers = range(len(found)) if rows is None else rows
            compare(found, table.column(SOURCE_SUM), numbers, "source", self.folder)
            table = table.drop_columns(sealed)
        for name in {"path", "source"} & set(names):
            stored = self.root.stored(table.column(name))
            if name == "path":
                table = table.append_column("absolute", pc.not_equal(stored, table.column(name)))
            table = table.set_column(table.column_names.index(name), name, stored)
        return table

    def rows_where(self, columns: Sequence[str], test: Callable[[pa.Table], pa.Array]) -> IntArray:
        """The rows (n,) for which `test` is true of `columns`, paths and sources being as `root` stores them.

        BLOCK_ROWS are in memory at a time.
        """
        found = [np.zeros(0, np.int64)]
        with self._reading():
            for first, part in self.blocks(columns):
                for name in {"path", "source"} & set(columns):
                    at = part.column_names.index(name)
                    part = part.set_column(at, name, self.root.stored(part.column(name)))
                found.append(first + np.flatnonzero(test(part).to_numpy(zero_copy_only=False)))
        return np.concatenate(found)

    def rows_with(self, digests: Collection[bytes]) -> IntArray:
        """The rows (n,) of these contents."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not digests:
            return np.zeros(0, np.int64)
        wanted = pa.array(sorted(digests), pa.binary(16))
        return self.rows_where(["digest"], lambda block: pc.is_in(block.column("digest"), value_set=wanted))

    def digests(self) -> Array:
        """The digests of all rows, S16 (N,)."""
        with self._reading():
            parts = [digest_array(part.column("digest")) for _, part in self.blocks(["digest"])]
        return np.concatenate([np.zeros(0, "S16"), *parts])

    def blocks(self, columns: Sequence[str], rows: IntArray | None = None) -> Iterator[tuple[int, pa.Table]]:
        """`columns` of BLOCK_ROWS rows at a time, or of those of `rows` among them, each with the first of all of them.

        What holds none of `rows` is not read.
        """
        for first in range(0, len(self), BLOCK_ROWS):
            within = None if rows is None else rows[slice(*np.searchsorted(rows, [first, first + BLOCK_ROWS]))] - first
            if within is None or len(within):
                part = self._table.to_table(columns=list(columns), offset=first, limit=BLOCK_ROWS, with_row_id=True)
                yield first, part if within is None else part.take(within)

    def first_path(self) -> str:
        """The path of the first row as it is stored, "" where there is none."""
        with self._reading():
            paths = self._table.to_table(columns=["path"], limit=1).column("path")
        return str(paths[0]) if len(paths) else ""

    def taken(self, rows: Array, columns: Sequence[str] | None = None) -> pa.Table:
        """`columns` of `rows` (n,), all by default, as they are stored."""
        with self._reading():
            return self._table.take([int(row) for row in rows], columns=columns)

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Blocks of vectors (n, dim) float32 from row `start` on, in order."""
        rows, step = len(self), max(1, BLOCK_BYTES // (4 * self.dim))
        wanted = ["vector", "vector_sum"] if self.has_sums else ["vector"]
        for first in range(start, rows, step):
            with self._reading():
                table = self._table.to_table(columns=wanted, offset=first, limit=min(step, rows - first))
                vectors = half(table.column("vector"), self.dim)
            if self.has_sums:
                compare(vector_sums(vectors), table.column("vector_sum"), range(first, rows), "vector", self.folder)
            yield vectors.astype(np.float32)

    def places(self, rows: Array | None = None) -> Places:
        """The places of `rows`, in that order, or all."""
        columns = [*self._columns, "place_sum"] if self.has_sums else self._columns
        with self._reading():
            table = self._table.to_table(columns=columns) if rows is None else self.taken(rows, columns)
            places = places_of(table, self._columns)
        if self.has_sums:
            sums = place_sums(places, self._columns)
            compare(sums, table.column("place_sum"), range(len(places)) if rows is None else rows, "place", self.folder)
        return replace(places, path=self.root.opened_objects(places.path))

    def fingerprint(self, rows: int) -> bytes:
        """16 bytes that tell the first `rows` rows apart from any others; empty where rows carry no checksums."""
        with self._reading():
            return self._fingerprints.of(self._table, self.map_id, rows) if self.has_sums else b""

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self.folder)
