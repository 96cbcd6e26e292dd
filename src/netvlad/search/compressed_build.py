"""Making codes of vectors: centres in two levels, codes that fit into the memory, and what they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.runtime.progress import progress
from netvlad.search.compressed_codes import (
    CompressedVectors,
    bytes_of_code,
    bytes_of_lists,
    code_names,
    new_codes,
    wanted_lists,
)
from netvlad.search.nearest import nearest
from netvlad.search.options import SearchOptions
from netvlad.search.tuning import DEPTHS, SHARES, Tuning, cheapest, recalls
from netvlad.search.vector_file import VectorFile
from netvlad.types import Array, FloatArray, IntArray

SAMPLE = 1 << 20  # vectors that centres are learnt from at most: 2 GB of 512 numbers
A_LIST = 40  # vectors that a centre is learnt from
ONE_LEVEL = 1024  # so few centres are learnt at once
ITERATIONS = 8
ASKED = 200  # vectors of the map that are searched to choose how to search
K = 10  # of which so many nearest are to be found
FEWEST = 16  # vectors that faiss learns codes from: fewer are given many times
LEAST_CODES = 1 << 14  # vectors that product codes are learnt from: 1000 for each of their centres


def build(vectors: VectorFile, options: SearchOptions, codes: Any = None, seed: int = 0) -> CompressedVectors:
    """Codes of all rows of `vectors`, and how they are searched with the recall wanted.

    codes: trained and empty ones, as `trained` gives them and which it is by default. Raises NetvladError as that does.
    """
    rng = np.random.default_rng(seed)
    if codes is None:
        codes = trained(vectors.rows, vectors.dim, options.memory, vectors.read, rng)
    with progress("compressing", vectors.rows) as advance:
        for block in vectors.blocks():
            codes.add(block)
            advance(len(block))
    untuned = Tuning((), (), (), 0)
    made = CompressedVectors(codes, vectors, np.zeros(0, np.int64), untuned, vectors.rows, bytes_of_code(codes))
    made.tuning = _tuned(made, options.recall, _different(rng, vectors))
    return made


def trained(
    rows: int, dim: int, memory: int | None, read: Callable[[IntArray], FloatArray], rng: np.random.Generator
) -> Any:
    """Empty codes for `rows` vectors of `dim` numbers: rotation, centres and codebooks, learnt from a sample.

    read: gives the vectors of ascending rows. Raises NetvladError where `memory` does not hold the smallest codes.
    """
    name, lists = _chosen(rows, dim, memory)
    sample = read(_some(rng, rows, min(SAMPLE, max(A_LIST * lists, LEAST_CODES))))
    codes = new_codes(dim, name, _centres(sample, lists))
    codes.train(np.resize(sample, (max(len(sample), FEWEST), dim))[:LEAST_CODES])
    return codes


def _some(rng: np.random.Generator, rows: int, n: int) -> IntArray:
    """At most n of `rows` rows, ascending."""
    return np.sort(rng.permutation(rows)[:n])


def _different(rng: np.random.Generator, vectors: VectorFile) -> IntArray:
    """At most ASKED rows, ascending, of vectors that differ: the nearest of one that is in many times are arbitrary."""
    rows = _some(rng, vectors.rows, 10 * ASKED)
    first = np.unique(vectors.read(rows), axis=0, return_index=True)[1]
    return np.sort(rows[rng.permutation(first)[:ASKED]])


def _chosen(rows: int, dim: int, memory: int | None) -> tuple[str, int]:
    """The richest codes that fit into `memory`, and the number of lists."""
    lists = wanted_lists(rows)
    names = code_names(dim)
    for name, each in names:
        if memory is None or rows * each + bytes_of_lists(lists, dim) <= memory:
            return name, lists
    least = rows * names[-1][1] + bytes_of_lists(lists, dim)
    raise NetvladError(f"{rows} vectors of {dim} numbers need {least / 1e6:.1f} MB of memory at least")


def _centres(sample: FloatArray, lists: int) -> FloatArray:
    """About `lists` centres of `sample` (n, dim); where they are many, of each part of it around fewer centres."""
    if lists <= ONE_LEVEL:
        return _kmeans(sample, lists)[0]
    _, part = _kmeans(sample, round(lists**0.5))
    parts = [sample[part == i] for i in np.unique(part)]  # faiss.contrib's two levels fail on parts of few vectors
    return np.concatenate([_kmeans(x, max(1, lists * len(x) // len(sample)))[0] for x in parts])


def _kmeans(sample: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """At most k centres of `sample` (n, dim), and the one of each vector (n,)."""
    import faiss

    kmeans = faiss.Kmeans(sample.shape[1], min(k, len(sample)), niter=ITERATIONS, min_points_per_centroid=1)
    kmeans.train(sample)
    return np.asarray(kmeans.centroids), kmeans.assign(sample)[1]


def _tuned(made: CompressedVectors, recall: float, asked: IntArray) -> Tuning:
    """What finds `recall` of the K nearest of the vectors `asked`, also among shares of the vectors.

    Photos that a map is asked about are less like it than its own, so half of what is missing to 1 is added.
    """
    goal = (1 + recall) / 2
    queries, rows = made.vectors.read(asked), made.vectors.rows
    chosen = []
    for share in SHARES:
        every = round(1 / share)
        allowed = np.arange(rows) % every == every // 2
        wanted = _others(nearest(made.vectors, queries, K + 1, np.flatnonzero(allowed))[1], asked)
        bitmap = None if share == 1 else np.packbits(allowed, bitorder="little")
        measured = _measured(made, queries, asked, wanted, bitmap, goal)
        chosen.append(cheapest(measured, share * rows / made.lists, goal))
    probed, rescored, found = zip(*chosen, strict=True)
    return Tuning(probed, rescored, found, len(asked))


def _measured(
    made: CompressedVectors, queries: FloatArray, asked: IntArray, wanted: IntArray, bitmap: Array | None, goal: float
) -> dict[int, Array]:
    """Numbers of lists -> recall for each of DEPTHS; no more lists once those find all that the codes can."""
    measured: dict[int, Array] = {}
    probed, lists = 1, made.lists
    while True:
        found = made.candidates(queries, DEPTHS[-1] + 1, probed, bitmap)
        measured[probed] = recalls(_others(found, asked), wanted)
        if measured[probed][0] >= goal or probed == lists:  # more lists would only cost
            return measured
        probed = min(2 * probed, lists)


def _others(found: IntArray, asked: IntArray) -> IntArray:
    """The found rows (Q, n) without those that asked: (Q, n - 1)."""
    itself = found == asked[:, None]
    itself[~itself.any(axis=1), -1] = True  # not found: the last goes instead
    others: IntArray = found[~itself].reshape(len(found), -1)
    return others
