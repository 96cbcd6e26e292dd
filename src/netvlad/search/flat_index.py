"""Exact nearest neighbours by faiss, kept in a file beside the vectors that it can be rebuilt from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import PlaceIndexWarning
from netvlad.search.search_file import VectorSource, sealed_fingerprint, write_sealed_file
from netvlad.types import Array, BoolArray, FloatArray, IntArray


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

        write_sealed_file(file, source, self._index.ntotal, lambda path: faiss.write_index(self._index, str(path)))

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


def read_copy(file: Path, source: VectorSource) -> tuple[Any, str]:
    """The faiss index in `file`, or None and the reason why it is no copy of the first rows of `source`."""
    import faiss

    sealed = bool(source.fingerprint(0))
    try:
        written = sealed_fingerprint(file) if sealed else b""
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
