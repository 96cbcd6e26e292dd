"""Distinctive features: what a photo shares with photos of other places says little about its own place.

Features that match far away places confuse, and positions alone tell which those are (Knopp, Sivic and Pajdla, ECCV
2010); a photo's negatives teach what tells it from them (Gronat et al., CVPR 2013). Here the classifier of a photo x
against the n photos of other places most similar to it, rows of N, is the ridge regression

    w = x - N' a,   a = (N N' + RIDGE I)^-1 N x,

which is x without what its negatives explain of it, and takes one small linear system. Global vectors are replaced by
w, of unit length again. In bags of words each word keeps the share w / x, held between 0 and 1: no word is added, so
that an inverted file keeps its size. Queries stay as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array

from netvlad.errors import NetvladError
from netvlad.places import Neighbours
from netvlad.runtime.threads import one_thread
from netvlad.search.inverted_file import InvertedFile
from netvlad.types import Array, FloatArray

HARDEST = 100  # negatives of a photo, the most similar ones
RIDGE = 0.1  # a negative that is the photo itself would take 10/11 of it
BLOCK = 256  # entries compared with all others at once


def distinctive_shares(inverted: InvertedFile, near: Neighbours, entry: Array | None = None) -> NDArray[np.uint8]:
    """Distinctive share (M,) of the votes of each posting of `inverted`, 255 for all of them.

    near: the photos that may show the place of each photo (`place_matches`); all others are definite negatives.
    entry: (N,) entry of each photo (default: each its own). An entry without negatives keeps all votes.
    Raises NetvladError where `near` is of another number of photos.
    """
    rows, order = _rows(inverted)
    same = _same(near, np.arange(len(near)) if entry is None else entry, inverted.size)
    shares = np.empty(rows.nnz)
    for start in range(0, inverted.size, BLOCK):
        likeness = (rows[start : start + BLOCK] @ rows.T).toarray()
        for i, of in enumerate(likeness, start):
            of[same.indices[same.indptr[i] : same.indptr[i + 1]]] = 0
            mine = slice(rows.indptr[i], rows.indptr[i + 1])
            shares[mine] = _shares(rows, mine, of)
    kept = np.empty(len(shares), np.uint8)
    kept[order] = np.rint(255 * shares)
    return kept


def distinctive_vectors(vectors: FloatArray, near: Neighbours) -> FloatArray:
    """Database `vectors` (N, D) without what photos of other places explain of them; both are of unit length.

    near: as for `distinctive_shares`. A vector without negatives, or explained entirely, stays as it is.
    """
    same = _same(near, np.arange(len(vectors)), len(vectors))
    out: FloatArray = np.array(vectors, np.float32)
    for start in range(0, len(vectors), BLOCK):
        likeness = vectors[start : start + BLOCK] @ vectors.T
        with one_thread():  # a small system for each vector
            for i, of in enumerate(likeness, start):
                of[same.indices[same.indptr[i] : same.indptr[i + 1]]] = 0
                own = _unexplained(vectors, i, of)
                length = np.linalg.norm(own)
                if length > 1e-6:
                    out[i] = own / length
    return out


def _unexplained(vectors: FloatArray, row: int, likeness: Array) -> Array:
    """What negatives do not explain of a vector, (D,) float64. likeness: (N,) with each vector, 0 for no negative."""
    hardest = _hardest(likeness)
    negatives = vectors[hardest].astype(np.float64)
    explained = negatives.T @ _coefficients(negatives @ negatives.T, likeness[hardest])
    return np.asarray(vectors[row] - explained)


def _hardest(likeness: Array) -> Array:
    """Rows of the most similar negatives, of `likeness` (n,), which is 0 for what may show the same place."""
    found = np.argsort(-likeness, kind="stable")[:HARDEST]
    return found[likeness[found] > 0]


def _coefficients(gram: Array, likeness: Array) -> Array:
    """a (h,), of the products `gram` (h, h) among the negatives and `likeness` (h,) with the photo."""
    return np.asarray(np.linalg.solve(gram + RIDGE * np.eye(len(gram)), likeness.astype(np.float64)))


def _shares(rows: csr_array, mine: slice, likeness: Array) -> Array:
    """The distinctive share (m,), 0..1, of the numbers `mine` of `rows`."""
    hardest = _hardest(likeness)
    if not len(hardest):
        return np.ones(mine.stop - mine.start)
    negatives = rows[hardest]
    a = _coefficients((negatives @ negatives.T).toarray(), likeness[hardest])
    explained, own = (negatives.T @ a)[rows.indices[mine]], rows.data[mine]
    return np.asarray(np.clip(1 - np.divide(explained, own, out=np.zeros(len(own)), where=own > 0), 0, 1))


def _rows(inverted: InvertedFile) -> tuple[csr_array, Array]:
    """Entries as sparse rows (size, V) of unit length, and the posting (M,) of each of their numbers."""
    shape, ends = (inverted.size, inverted.words), inverted.starts
    posting = csc_array((np.arange(len(inverted.entries)), inverted.entries, ends), shape=shape).tocsr()
    weights = inverted.weights()
    lengths = np.sqrt(np.bincount(inverted.entries, np.square(weights), inverted.size))
    weights = weights / np.maximum(lengths, 1e-12)[inverted.entries]
    return csc_array((weights, inverted.entries, ends), shape=shape).tocsr(), posting.data


def _same(near: Neighbours, entry: Array, size: int) -> csr_array:
    """Sparse (size, size): which entries may show the place of an entry, itself included."""
    if len(near) != len(entry):
        raise NetvladError(f"neighbours of {len(entry)} photos are needed, got those of {len(near)}")
    one = np.concatenate([np.repeat(entry, np.diff(near.offsets)), np.arange(size)])
    other = np.concatenate([entry[near.ids], np.arange(size)])
    return coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size)).tocsr()
