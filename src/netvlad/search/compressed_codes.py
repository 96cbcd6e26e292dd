"""Vectors as codes in lists around centres, as faiss holds them, and the vectors themselves on the disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from netvlad.search.nearest import rescored
from netvlad.search.tuning import Tuning
from netvlad.search.vector_file import VectorFile
from netvlad.types import Array, FloatArray, IntArray

NUMBER = 8  # bytes of a vector's number, beside its code


def code_names(dim: int) -> list[tuple[str, float]]:
    """What faiss calls codes of `dim` numbers and their bytes a vector with its number, the richest first."""
    names = [("RaBitQfs", dim / 8 + 16 + NUMBER)]
    for parts in (dim // 8, dim // 16):
        if parts and dim % parts == 0 and parts % 2 == 0:
            names.append((f"PQ{parts}x4fs", parts / 2 + NUMBER))
    return names


def bytes_of_lists(lists: int, dim: int) -> int:
    """Bytes of centres and, where there are many, of the graph over them."""
    return lists * (4 * dim + (32 * 2 * 4 + 16 if lists > FLAT_LISTS else 0))


FLAT_LISTS = 2048  # so few centres are compared one by one


def new_codes(dim: int, name: str, centres: FloatArray) -> Any:
    """An empty, untrained faiss index of codes called `name` in lists around `centres` (n, dim)."""
    import faiss

    lists = len(centres)
    index: Any = faiss.index_factory(dim, f"IVF{lists}{'_HNSW32' if lists > FLAT_LISTS else ''},{name}")
    index.quantizer.add(centres)
    return index


@dataclass
class CompressedVectors:
    """codes: a faiss index whose ids are the rows of `vectors`. gone: ascending rows of it that are removed.

    made_for: number of rows that the lists were chosen for.
    """

    codes: Any
    vectors: VectorFile
    gone: IntArray
    tuning: Tuning
    made_for: int

    @property
    def rows(self) -> int:
        """Number of vectors that can be found."""
        return self.vectors.rows - len(self.gone)

    @property
    def memory(self) -> int:
        """Bytes of codes, numbers and centres in memory."""
        code = self.codes.code_size if "PQ" in type(self.codes).__name__ else self.codes.d / 8 + 16
        return int(self.vectors.rows * (code + NUMBER)) + bytes_of_lists(self.codes.nlist, self.codes.d)

    def candidates(self, queries: FloatArray, n: int, probed: int, bitmap: Array | None = None) -> IntArray:
        """The n best rows by their codes, -1 beyond the end: (Q, n). bitmap: a bit for each row that may be found."""
        import faiss

        library: Any = faiss  # it takes keywords and arrays for these since it is imported
        selector = None if bitmap is None else library.IDSelectorBitmap(bitmap)
        many = self.codes.nlist > FLAT_LISTS
        inner = library.SearchParametersHNSW(efSearch=max(2 * probed, 64)) if many else None
        probed = min(probed, self.codes.nlist)
        params = library.SearchParametersIVF(nprobe=probed, sel=selector, quantizer_params=inner)
        found: IntArray = self.codes.search(queries, n, params=params)[1]
        return found

    def nearest(
        self, queries: FloatArray, k: int, bitmap: Array | None = None, share: float = 1.0
    ) -> tuple[FloatArray, IntArray]:
        """The k nearest: squared distances, inf beyond the end, and rows, -1 beyond the end: (Q, k) each.

        bitmap: a bit for each row that may be found. share: how many of all rows these are. More lists are looked at
        until k are found.
        """
        probed, depth = self.tuning.effort(share)
        depth = max(depth, 4 * k)
        found = self.candidates(queries, depth, probed, bitmap)
        while (short := (found >= 0).sum(axis=1) < min(k, round(share * self.vectors.rows))).any():
            if probed >= self.codes.nlist:
                break
            probed *= 4
            found[short] = self.candidates(queries[short], depth, probed, bitmap)
        return rescored(self.vectors, queries, found, k)


def wanted_lists(rows: int) -> int:
    """How many lists `rows` vectors are put into: a power of 2 of about 8 square roots, of 32 vectors at least."""
    return int(2 ** max(0, min(16, math.floor(math.log2(max(1, min(8 * math.sqrt(rows), rows / 32)))))))
