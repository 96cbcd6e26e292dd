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
    """What faiss calls codes of `dim` numbers and their bytes a vector with its number, the richest first.

    Product quantisation (Jegou et al., PAMI 2011) by tables in registers: 4 bits for each 4, 8 or 16 numbers, not of
    the residuals to a centre. So the tables of a query serve all lists, however many are looked at.
    """
    parts = [_padded(dim) // each for each in (4, 8, 16)]
    return [(f"PQ{n}x4fs", n / 2 + NUMBER) for n in parts]


def bytes_of_code(codes: Any) -> float:
    """Bytes of a vector and its number in a faiss index that `new_codes` made."""
    return float(lists_of(codes).code_size + NUMBER)


def _padded(dim: int) -> int:
    """So many numbers are coded: parts of a code stand in pairs."""
    return 32 * math.ceil(dim / 32)


def bytes_of_lists(lists: int, dim: int) -> int:
    """Bytes of centres and, where there are many, of the graph over them."""
    return lists * (4 * dim + (32 * 2 * 4 + 16 if lists > FLAT_LISTS else 0))


FLAT_LISTS = 4096  # so few centres are compared one by one


def new_codes(dim: int, name: str, centres: FloatArray) -> Any:
    """An empty, untrained faiss index of codes called `name` in lists around `centres` (n, dim).

    Vectors are rotated at random first, so that each part of a code says as much as another.
    """
    import faiss

    lists = len(centres)
    index: Any = faiss.index_factory(
        dim, f"RR{_padded(dim)},IVF{lists}{'_HNSW32' if lists > FLAT_LISTS else ''},{name}"
    )
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    rotation.train(centres)
    lists_of(index).quantizer.add(rotation.apply(centres))
    return index


def lists_of(codes: Any) -> Any:
    """The lists within a faiss index that `new_codes` made. Raises RuntimeError for another."""
    import faiss

    return faiss.downcast_index(faiss.extract_index_ivf(codes))


@dataclass
class CompressedVectors:
    """codes: a faiss index whose ids are the rows of `vectors`. gone: ascending rows of it that are removed.

    made_for: number of rows that the lists were chosen for. each: bytes of a code and its number.
    """

    codes: Any
    vectors: VectorFile
    gone: IntArray
    tuning: Tuning
    made_for: int
    each: float

    @property
    def rows(self) -> int:
        """Number of vectors that can be found."""
        return self.vectors.rows - len(self.gone)

    @property
    def memory(self) -> int:
        """Bytes of codes, numbers and centres in memory."""
        return int(self.vectors.rows * self.each) + bytes_of_lists(self.lists, self.codes.d)

    @property
    def lists(self) -> int:
        """Number of lists."""
        return int(lists_of(self.codes).nlist)

    def candidates(self, queries: FloatArray, n: int, probed: int, bitmap: Array | None = None) -> IntArray:
        """The n best rows by their codes, -1 beyond the end: (Q, n). bitmap: a bit for each row that may be found."""
        import faiss

        library: Any = faiss  # it takes keywords and arrays for these since it is imported
        selector = None if bitmap is None else library.IDSelectorBitmap(bitmap)
        many = self.lists > FLAT_LISTS
        inner = library.SearchParametersHNSW(efSearch=max(2 * probed, 64)) if many else None
        probed = min(probed, self.lists)
        within = library.SearchParametersIVF(nprobe=probed, sel=selector, quantizer_params=inner)
        params = library.SearchParametersPreTransform(index_params=within)
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
            if probed >= self.lists:
                break
            probed *= 4
            found[short] = self.candidates(queries[short], depth, probed, bitmap)
        return rescored(self.vectors, queries, found, k)


def wanted_lists(rows: int) -> int:
    """How many lists `rows` vectors are put into: a power of 2 of about 4 square roots, of 32 vectors at least."""
    return int(2 ** max(0, min(16, math.floor(math.log2(max(1, min(4 * math.sqrt(rows), rows / 32)))))))
