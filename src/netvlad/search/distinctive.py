"""Distinctive features: what a photo shares with photos of other places says little of where it was taken.

That features which match far away places confuse, and that positions alone tell which those are, is from Knopp, Sivic
and Pajdla (ECCV 2010); to learn from a photo's negatives what tells it from them, from Gronat et al. (CVPR 2013). Here
the classifier of a photo x against the n photos of other places most like it, rows of N, is the ridge regression

    w = x - N' a,   a = (N N' + RIDGE I)^-1 N x,

which is x less what its negatives can explain of it, and takes one small linear system. Photos as vectors are searched
by w itself, of unit length again. Of bags of words each word keeps its share w / x, held between 0 and 1: no word is
added, so that an inverted file keeps its size. Queries stay as they are.
"""

from __future__ import annotations

import numpy as np

from netvlad.errors import NetvladError
from netvlad.places import Neighbours
from netvlad.search.inverted_file import InvertedFile

HARDEST = 100  # negatives of a photo, those most like it
RIDGE = 0.1  # a negative that is the photo itself would take 10/11 of it
BLOCK = 256  # entries compared with all others at once


def distinctive_shares(inverted: InvertedFile, near: Neighbours, entry: np.ndarray | None = None) -> np.ndarray:
    """Of each posting of `inverted` the share of its votes that is the entry's own: (M,) uint8, 255 for all of it.

    near: of each photo the photos that may show the same place (`place_matches`, within the distance from which on a
    photo is a definite negative). entry (N,): of each photo (default: its own). An entry without negatives keeps all.
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


def distinctive_vectors(vectors: np.ndarray, near: Neighbours) -> np.ndarray:
    """Database `vectors` (N, D) of unit length less what photos of other places explain of them: (N, D) float32, of
    unit length too, to be searched in their place.

    near: as for `distinctive_shares`. A vector without negatives, or explained to the last bit, stays as it is.
    """
    same = _same(near, np.arange(len(vectors)), len(vectors))
    out = np.array(vectors, np.float32)
    for start in range(0, len(vectors), BLOCK):
        likeness = vectors[start : start + BLOCK] @ vectors.T
        for i, of in enumerate(likeness, start):
            of[same.indices[same.indptr[i] : same.indptr[i + 1]]] = 0
            hardest = _hardest(of)
            negatives = vectors[hardest].astype(np.float64)
            own = vectors[i] - negatives.T @ _coefficients(negatives @ negatives.T, of[hardest])
            length = np.linalg.norm(own)
            if length > 1e-6:
                out[i] = own / length
    return out


def _hardest(likeness: np.ndarray) -> np.ndarray:
    """Rows of the negatives most like a photo, of `likeness` (n,) that is 0 for what may be its own place."""
    found = np.argsort(-likeness, kind="stable")[:HARDEST]
    return found[likeness[found] > 0]


def _coefficients(gram: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    """a (h,) of negatives whose products with each other are `gram` (h, h), and with the photo `likeness` (h,)."""
    return np.linalg.solve(gram + RIDGE * np.eye(len(gram)), likeness.astype(np.float64))


def _shares(rows, mine: slice, likeness: np.ndarray) -> np.ndarray:
    """Of the numbers `mine` of `rows` the share that is distinctive, (m,) 0..1."""
    hardest = _hardest(likeness)
    if not len(hardest):
        return np.ones(mine.stop - mine.start)
    negatives = rows[hardest]
    a = _coefficients((negatives @ negatives.T).toarray(), likeness[hardest])
    explained, own = (negatives.T @ a)[rows.indices[mine]], rows.data[mine]
    return np.clip(1 - np.divide(explained, own, out=np.zeros(len(own)), where=own > 0), 0, 1)


def _rows(inverted: InvertedFile):
    """The entries as rows of unit length, sparse (size, V), and the posting (M,) of each number in them."""
    from scipy.sparse import csc_array

    shape, ends = (inverted.size, inverted.words), inverted.starts
    posting = csc_array((np.arange(len(inverted.entries)), inverted.entries, ends), shape=shape).tocsr()
    weights = inverted.weights()
    lengths = np.sqrt(np.bincount(inverted.entries, np.square(weights), inverted.size))
    weights = weights / np.maximum(lengths, 1e-12)[inverted.entries]
    return csc_array((weights, inverted.entries, ends), shape=shape).tocsr(), posting.data


def _same(near: Neighbours, entry: np.ndarray, size: int):
    """Which entries may show an entry's place, itself among them: sparse (size, size)."""
    from scipy.sparse import coo_array

    if len(near) != len(entry):
        raise NetvladError(f"what is near each of {len(entry)} photos is wanted, got it of {len(near)}")
    one = np.concatenate([np.repeat(entry, np.diff(near.offsets)), np.arange(size)])
    other = np.concatenate([entry[near.ids], np.arange(size)])
    return coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size)).tocsr()
