"""Exact nearest neighbours by faiss, kept in a file beside the vectors that it can be rebuilt from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netvlad.errors import PlaceIndexWarning
from netvlad.runtime.files import atomic
from netvlad.types import Array, BoolArray, FloatArray, IntArray

# A file ends in XXH3 of all that precedes it (16 bytes), and this; faiss reads neither.
SEAL = b"netvlad1"


class VectorSource(Protocol):
    """Vectors on disk, in rows that are appended to."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int: ...

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Yield blocks (n, dim) float32 from row `start` on, in order."""

    def fingerprint(self, rows: int) -> bytes:
        """16 bytes that tell the first `rows` rows apart from any others; empty if there is no telling."""

    def is_newest(self) -> bool:
        """Whether nobody has written a later version of the rows."""


class FlatIndex:
    """Exhaustive search over float16 vectors by squared L2 distance.

    `file` holds a copy of `source`, its fingerprint and a checksum. Rows it lacks are added on opening; a file that is
    damaged or is not of these rows is made anew, with a PlaceIndexWarning. While a later version of the rows is there
    the file belongs to that: nothing is said, and nothing written.
    """

    def __init__(self, source: VectorSource, file: Path) -> None:
        self._index = self._opened(source, file)
        if self._add_missing(source):
            self._write(file, source)

    def follow(self, source: VectorSource, file: Path, removed: Sequence[int] | Array) -> None:
        """Take over that rows `removed` have gone from `source` and others have come at its end, and write `file`."""
        gone = np.zeros(self._index.ntotal, bool)
        gone[np.asarray(removed, np.int64)] = True
        if gone.any():
            self._index.remove_ids(_selector(gone))  # the others move up
        self._add_missing(source)
        self._write(file, source)

    def _add_missing(self, source: VectorSource) -> bool:
        """Add the last rows of `source` that are not in; returns whether there were any."""
        done = self._index.ntotal
        if done >= len(source):
            return False
        for block in source.vectors(done):
            self._index.add(block)
        return True

    def _opened(self, source: VectorSource, file: Path) -> Any:
        import faiss

        if file.exists():
            index, reason = read_copy(file, source)
            if index is not None:
                return index
            if source.is_newest():
                warnings.warn(f"{file}: {reason}; it is made anew", PlaceIndexWarning, stacklevel=4)
        index = faiss.IndexScalarQuantizer(source.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
        index.train(np.zeros((1, source.dim), np.float32))  # float16 learns nothing, but faiss refuses to skip this
        return index

    def _write(self, file: Path, source: VectorSource) -> None:
        import faiss
        from filelock import FileLock, Timeout

        if not source.is_newest():
            return
        try:
            with FileLock(file.with_name(f".{file.name}.lock"), timeout=0), atomic(file) as temporary:
                for left in file.parent.glob(f".{file.name}.*.tmp"):  # by a process that was killed
                    left.unlink()
                faiss.write_index(self._index, str(temporary))
                with open(temporary, "ab") as opened:
                    opened.write(source.fingerprint(self._index.ntotal).ljust(16, b"\0"))
                checksum = _checksum(temporary)
                with open(temporary, "ab") as opened:
                    opened.write(checksum + SEAL)
        except Timeout:  # another process is writing it
            return
        except (OSError, RuntimeError):  # faiss's own; on a read-only or full disk it is made again next time
            return

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim)."""
        found: FloatArray = self._index.reconstruct_batch(rows)
        return found

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """The k nearest rows of each of `vectors` (Q, dim): squared distances (Q, k) and rows (Q, k).

        inf and -1 beyond the end; ties in the order of the rows. among (N,) bool: the rows that may be found.
        """
        import faiss

        parameters: Any = faiss.SearchParameters  # faiss adds the keyword when it is imported
        params = None if among is None else parameters(sel=_selector(among))
        squared, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k, params=params)
        return np.where(rows < 0, np.inf, np.maximum(squared, 0)), rows


def _selector(rows: BoolArray) -> Any:
    """What tells faiss of the rows where `rows` (N,) bool is True."""
    import faiss

    selector: Any = faiss.IDSelectorBitmap  # faiss takes arrays for it since it is imported
    return selector(np.packbits(rows, bitorder="little"))


def is_current(file: Path, source: VectorSource) -> bool:
    """Whether `file` says that it is a copy of all rows of `source`; its vectors are not read."""
    wanted = source.fingerprint(len(source))
    try:
        with open(file, "rb") as opened:
            opened.seek(-40, 2)
            end = opened.read()
    except OSError:
        return False
    return bool(wanted) and end[:16] == wanted and end[32:] == SEAL


def read_copy(file: Path, source: VectorSource) -> tuple[Any, str]:
    """The faiss index in `file`, or None and the reason why it is no copy of the first rows of `source`."""
    import faiss

    sealed = bool(source.fingerprint(0))
    try:
        written = _fingerprint(file) if sealed else b""
        if written is None:
            return None, "is damaged (its checksum differs)"
        index = faiss.read_index(str(file))
    except (OSError, RuntimeError, ValueError, MemoryError) as e:  # not a faiss file, or half of one
        return None, f"cannot be read ({type(e).__name__})"
    if type(index) is not faiss.IndexScalarQuantizer or not index.is_trained or index.d != source.dim:
        return None, "is not the search file of this index"
    if index.sq.qtype != faiss.ScalarQuantizer.QT_fp16 or index.metric_type != faiss.METRIC_L2:
        return None, "is not the search file of this index"
    if index.ntotal > len(source):
        return None, f"covers {index.ntotal} photos where the table holds {len(source)}"
    if sealed and written != source.fingerprint(index.ntotal):
        return None, "is not of the photos in the table"
    if not sealed and index.ntotal:  # a table of before there were checksums
        last = index.ntotal - 1
        if not np.array_equal(index.reconstruct(last), next(source.vectors(last))[0]):
            return None, "is not of the photos in the table"
    return index, ""


def _fingerprint(file: Path) -> bytes | None:
    """The fingerprint that a file was written with; None where the file is not what was written."""
    with open(file, "rb") as opened:
        size = opened.seek(0, 2)
        if size < 40:
            return None
        opened.seek(-40, 2)
        end = opened.read()
    intact = end[32:] == SEAL and end[16:32] == _checksum(file, size - 24)
    return end[:16] if intact else None


def _checksum(file: Path, size: int | None = None) -> bytes:
    """XXH3 (16 bytes) of the first `size` bytes of a file, by default all."""
    import xxhash

    with open(file, "rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data, memoryview(data) as view:
        return xxhash.xxh3_128_digest(view[:size])


def rank_vectors(
    search: Callable[[FloatArray, int], tuple[FloatArray, IntArray]],
    vectors: FloatArray,
    unreadable: Sequence[int],
    k: int,
    size: int,
) -> tuple[IntArray, FloatArray]:
    """Rank `size` rows for `vectors` (Q, dim) by `search(vectors, n) -> (squared distances, rows)`.

    Returns ids (Q, k) int64, -1 beyond the end and for the `unreadable` queries, and scores (Q, k) float32, negative
    squared distances.
    """
    ids = np.full((len(vectors), k), -1, np.int64)
    scores = np.full((len(vectors), k), -np.inf, np.float32)
    good = np.delete(np.arange(len(vectors)), list(unreadable))
    n = min(k, size)
    if n and len(good):
        squared, ids[good, :n] = search(vectors[good], n)
        scores[good, :n] = -squared
    return ids, scores
