"""Vectors in a file, read a few at a time: what a compressed search takes exact distances from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.types import Array, FloatArray, IntArray

BLOCK = 1 << 14  # vectors read at once


class OtherVectorsError(ValueError):
    """A file goes on with vectors of a state that did not come to be, or is no more."""


class VectorFile:
    """`rows` vectors of `dim` float16, each with a checksum that its number in the file goes into.

    Rows are appended and never changed. Bytes beyond `rows` are of a later state, which another process may be reading,
    or of an append that did not come to its end: the same vectors may be written there again, and no others. A vector
    that is damaged, or stands in another's place, is noticed whenever it is read: a PlaceIndexError is raised.
    """

    def __init__(self, file: Path, dim: int, rows: int) -> None:
        """Raises OSError or ValueError where the file is not there or too short."""
        self.file, self.dim, self.rows = file, dim, rows
        self._kind = np.dtype([("vector", np.float16, (dim,)), ("sum", np.uint64)])
        self._map()

    def _map(self) -> None:
        if os.path.getsize(self.file) < self.rows * self._kind.itemsize:
            raise ValueError(f"{self.file} is shorter than its {self.rows} vectors")
        empty = np.zeros(0, self._kind)
        self._data: Array = np.memmap(self.file, self._kind, "r", shape=(self.rows,)) if self.rows else empty

    @classmethod
    def create(cls, file: Path, dim: int) -> VectorFile:
        """Write an empty file."""
        file.write_bytes(b"")
        return cls(file, dim, 0)

    def append(self, blocks: Iterable[FloatArray]) -> None:
        """Write blocks (n, dim) behind the last row, and flush them to the disk.

        Raises OtherVectorsError where other vectors stand there, OSError on a full disk.
        """
        with open(self.file, "r+b") as opened:
            opened.seek(self.rows * self._kind.itemsize)
            for block in blocks:
                rows = np.empty(len(block), self._kind)
                rows["vector"] = block
                rows["sum"] = _sums(rows["vector"], range(self.rows, self.rows + len(block)))
                data = rows.tobytes()
                there = opened.read(len(data))
                if not data.startswith(there):
                    raise OtherVectorsError(f"{self.file} goes on with other vectors")
                opened.seek(-len(there), os.SEEK_CUR)
                opened.write(data)
                self.rows += len(block)
            opened.flush()
            os.fsync(opened.fileno())
        self._map()

    def read(self, rows: IntArray) -> FloatArray:
        """The vectors (n, dim) float32 at `rows` (n,). Raises PlaceIndexError for a damaged one."""
        found = self._data[rows]
        vectors = np.ascontiguousarray(found["vector"])
        bad = np.flatnonzero(_sums(vectors, rows.tolist()) != found["sum"])
        if len(bad):
            reason = f"vector {rows[bad[0]]} is damaged: delete search.faiss, and it is made anew"
            raise PlaceIndexError(reason, path=self.file)
        return vectors.astype(np.float32)

    def blocks(self, start: int = 0) -> Iterator[FloatArray]:
        """Yield blocks of vectors (n, dim) float32 from row `start` on, as `read` gives them."""
        for first in range(start, self.rows, BLOCK):
            yield self.read(np.arange(first, min(first + BLOCK, self.rows)))


def _sums(vectors: Array, numbers: Iterable[int]) -> Array:
    """XXH3 of each row of (n, dim) float16, seeded by its number: (n,) uint64."""
    import xxhash

    rows = np.ascontiguousarray(vectors).view(np.uint8)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, rows, numbers), np.uint64, len(rows))
