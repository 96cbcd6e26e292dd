"""Nearest neighbours in compressed codes, re-scored by the vectors themselves: for maps too large to search exactly."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import PlaceIndexWarning
from netvlad.search.compressed_build import build
from netvlad.search.compressed_file import (
    lock_vectors,
    new_vector_file,
    read_compressed,
    remove_vectors,
    write_compressed,
)
from netvlad.search.nearest import nearest
from netvlad.search.options import SearchOptions
from netvlad.search.search_file import VectorSource
from netvlad.search.trained_codes import TRAINED, read_trained
from netvlad.search.tuning import Tuning
from netvlad.search.vector_file import OtherVectorsError
from netvlad.types import Array, BoolArray, FloatArray, IntArray

FEW = 20_000  # among so few rows it is searched exactly
DELETED = 0.25  # with so large a share of removed rows it is made anew
GROWN = 2.0  # and where there are so many times the rows that it was made for


class CompressedIndex:
    """Search over codes in memory, whose best matches are re-scored by float16 vectors on the disk.

    `file` holds the codes, beside it search-*.vectors the vectors. How many lists of codes are looked at, and how many
    matches are re-scored, was chosen when it was made: see `tuning`. Rows it lacks are added on
    opening; files that are damaged or are not of these rows are made anew, with a PlaceIndexWarning. The interface is
    that of `FlatIndex`.
    """

    def __init__(self, source: VectorSource, file: Path, options: SearchOptions) -> None:
        self._options = options
        self._allowed = _Allowed(None, None, None, 0)
        found, reason = read_compressed(file, source, options)
        if found is None:
            if reason and source.is_newest():
                warnings.warn(f"{file}: {reason}; it is made anew", PlaceIndexWarning, stacklevel=4)
            self._make(source, file)
        else:
            self._state = found
            if found.rows < len(source):
                self._grow(source, file)

    @property
    def tuning(self) -> Tuning:
        """What was chosen and measured when it was made."""
        return self._state.tuning

    @property
    def memory(self) -> int:
        """Bytes in memory: codes, ids and centres."""
        return self._state.memory

    def __len__(self) -> int:
        return self._state.rows

    def follow(self, source: VectorSource, file: Path, removed: Sequence[int] | Array) -> None:
        """Take over that rows `removed` have gone from `source` and others have come at its end, and write `file`."""
        gone = np.unique(np.asarray(removed, np.int64))
        self._state.gone = np.union1d(self._state.gone, self._slots(gone))
        self._grow(source, file)

    def _make(self, source: VectorSource, file: Path) -> None:
        lock = lock_vectors(file, source)
        with nullcontext() if lock is None else lock:
            found, _ = read_compressed(file, source, self._options)  # another process may have made it meanwhile
            if found is not None and found.rows == len(source):
                self._state = found
                return
            vectors = new_vector_file(file, source.dim, private=lock is None)
            vectors.append(source.vectors())
            self._state = build(vectors, self._options, read_trained(file.with_name(TRAINED), source.dim))
            if lock is not None and write_compressed(file, source, self._state, self._options):
                remove_vectors(file.parent, kept=vectors.file)

    def _grow(self, source: VectorSource, file: Path) -> None:
        """Add the last rows of `source` that are not in, and write `file`; made anew where much has changed."""
        state = self._state
        self._allowed = _Allowed(None, None, None, 0)
        if len(state.gone) > DELETED * state.vectors.rows or len(source) > GROWN * state.made_for:
            self._make(source, file)
            return
        first = state.vectors.rows
        try:
            state.vectors.append(source.vectors(state.rows))
        except OtherVectorsError:
            self._make(source, file)
            return
        for block in state.vectors.blocks(first):
            state.codes.add(block)
        write_compressed(file, source, state, self._options)

    # -- asking -------------------------------------------------------------------------------------------------

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim)."""
        return self._state.vectors.read(self._slots(rows))

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`, but that a few of the nearest may be missing: see `tuning`.

        What a mask lets through is kept for the next question where the mask cannot be written to. Raises
        PlaceIndexError where a vector that is compared is damaged.
        """
        state, allowed = self._state, self._allowed
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        fixed = among is None or not among.flags.writeable
        if allowed.mask is not among or not allowed.size or not fixed:
            allowed = self._allow(among)
            if fixed:
                self._allowed = allowed
        if allowed.slots is not None or 8 * k > allowed.size:
            squared, slots = nearest(state.vectors, queries, k, allowed.rows(state.vectors.rows))
        else:
            squared, slots = state.nearest(queries, k, allowed.bitmap, allowed.size / state.vectors.rows)
        return squared, self._rows(slots)

    def _allow(self, among: BoolArray | None) -> _Allowed:
        """What may be found where `among` (N,) bool, of all rows by default, is True."""
        state = self._state
        size = state.rows if among is None else int(among.sum())
        if among is None and not len(state.gone) and size > FEW:
            return _Allowed(among, None, None, size)
        slots = np.delete(np.arange(state.vectors.rows), state.gone)
        slots = slots if among is None else slots[among]
        if size <= FEW:
            return _Allowed(among, slots, None, size)
        bits = np.zeros(state.vectors.rows, bool)
        bits[slots] = True
        return _Allowed(among, None, np.packbits(bits, bitorder="little"), size)

    def _slots(self, rows: IntArray) -> IntArray:
        """Where the vectors of `rows` stand in their file: behind as many others as there are before them that went."""
        gone = self._state.gone
        return rows + np.searchsorted(gone - np.arange(len(gone)), rows, side="right")

    def _rows(self, slots: IntArray) -> IntArray:
        return np.where(slots < 0, -1, slots - np.searchsorted(self._state.gone, slots))


@dataclass(frozen=True)
class _Allowed:
    """The rows where `mask` (None for all) is True: as a few `slots`, or as a `bitmap` of slots; None for all."""

    mask: BoolArray | None
    slots: IntArray | None
    bitmap: Array | None
    size: int

    def rows(self, count: int) -> IntArray | None:
        """The slots, of `count` in all; None for all."""
        if self.slots is not None or self.bitmap is None:
            return self.slots
        return np.flatnonzero(np.unpackbits(self.bitmap, count=count, bitorder="little"))
