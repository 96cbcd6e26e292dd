"""The search file of an index as what it is wanted to be: exact or compressed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from netvlad.search.compressed_file import read_about, remove_vectors
from netvlad.search.compressed_index import CompressedIndex
from netvlad.search.flat_index import FlatIndex
from netvlad.search.options import SearchOptions
from netvlad.search.search_file import VectorSource
from netvlad.types import Array, BoolArray, FloatArray, IntArray


class Searched(Protocol):
    """What finds the nearest of stored vectors."""

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`."""

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim)."""


class VectorIndex(Searched, Protocol):
    """Stored vectors that come and go: `FlatIndex` and `CompressedIndex`."""

    def follow(self, source: VectorSource, file: Path, removed: Sequence[int] | Array) -> None:
        """As `FlatIndex.follow`."""


def open_search(source: VectorSource, file: Path, options: SearchOptions) -> VectorIndex:
    """The search over all rows of `source`, from `file` or made anew."""
    if options.compresses(len(source), source.dim):
        return CompressedIndex(source, file, options)
    return FlatIndex(source, file)


def fits(index: VectorIndex, rows: int, dim: int, options: SearchOptions) -> bool:
    """Whether `index` is of the kind that `open_search` gives for `rows` rows of `dim` numbers."""
    return isinstance(index, CompressedIndex) == options.compresses(rows, dim)


def remove_other_kind(file: Path, rows: int, dim: int, options: SearchOptions) -> None:
    """Remove search files of another kind than `open_search` gives for `rows` rows of `dim` numbers."""
    compressed = options.compresses(rows, dim)
    with suppress(OSError, ValueError):  # none there, or of neither kind, which is told of when it is opened
        if (read_about(file) is not None) != compressed:
            file.unlink()
    if not compressed:
        remove_vectors(file.parent)
