"""Hamming embedding: binary signatures within a visual word (Jegou, Douze and Schmid, ECCV 2008)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netvlad.errors import NetvladError
from netvlad.types import Array

Signatures: TypeAlias = NDArray[np.uint64]

BITS = 64  # of a signature
LEAST = 8  # training descriptors from which on a word has medians of its own


class HammingEmbedding:
    """Signatures that tell apart descriptors of one visual word.

    Each bit says on which side of the word's median a random projection of the descriptor lies, so that near
    descriptors differ in few bits. projection: (64, D) float32, orthonormal rows. medians: (V, 64) float32, of each
    word, 256 bytes a word. Raises NetvladError for other shapes.
    """

    def __init__(self, projection: Array, medians: Array) -> None:
        self.projection = np.ascontiguousarray(projection, np.float32)
        self.medians = np.ascontiguousarray(medians, np.float32)
        fits = self.projection.ndim == self.medians.ndim == 2 and self.medians.shape[1] == BITS
        if not fits or self.projection.shape[0] != BITS:
            shapes = f"{self.projection.shape} and {self.medians.shape}"
            raise NetvladError(f"a projection ({BITS}, D) and medians (words, {BITS}) are wanted, got {shapes}")

    @property
    def words(self) -> int:
        """Size of the vocabulary."""
        return len(self.medians)

    @classmethod
    def fit(cls, descriptors: Array, words: Array, vocabulary: int, *, seed: int = 0) -> HammingEmbedding:
        """Fit on `descriptors` (n, D) and their `words` (n,), numbers below `vocabulary`; D is at least 64.

        A word of fewer than 8 descriptors gets the medians of all. Raises NetvladError for other shapes or words.
        """
        x, words = np.asarray(descriptors, np.float32), np.asarray(words, np.int64)
        if x.ndim != 2 or x.shape[1] < BITS or words.shape != x.shape[:1] or not len(x):
            raise NetvladError(f"descriptors (n, {BITS}+) and words (n,) are wanted, got {x.shape} and {words.shape}")
        if words.min() < 0 or words.max() >= vocabulary:
            raise NetvladError(f"words 0 to {vocabulary - 1} are wanted, got {words.min()} to {words.max()}")
        gaussian = np.random.default_rng(seed).normal(size=(x.shape[1], x.shape[1]))
        projection = np.linalg.qr(gaussian)[0][:BITS].astype(np.float32)
        projected = x @ projection.T
        medians = np.tile(np.median(projected, axis=0), (vocabulary, 1))
        order = np.argsort(words, kind="stable")
        counts = np.bincount(words, minlength=vocabulary)
        ends = np.cumsum(counts)
        for word in np.flatnonzero(counts >= LEAST):
            medians[word] = np.median(projected[order[ends[word] - counts[word] : ends[word]]], axis=0)
        return cls(projection, medians)

    def signatures(self, descriptors: Array, words: Array) -> Signatures:
        """Signatures (n, m) uint64 of `descriptors` (n, D) in their `words` (n, m); 0 for word -1, which is none."""
        projected = np.asarray(descriptors, np.float32) @ self.projection.T
        signatures = np.zeros(words.shape, np.uint64)
        for column in range(words.shape[1]):
            word = words[:, column]
            bits = np.packbits(projected > self.medians[word], axis=1).view(np.uint64)[:, 0]
            signatures[:, column] = np.where(word >= 0, bits, 0)
        return signatures

    def arrays(self) -> dict[str, Array]:
        """Arrays that `of` rebuilds it from."""
        return {"projection": self.projection, "medians": self.medians}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> HammingEmbedding:
        """Rebuild it from `arrays`, which may hold more. Raises NetvladError or KeyError where they do not fit."""
        return cls(arrays["projection"], arrays["medians"])


def differing(a: Signatures, b: Signatures) -> NDArray[np.uint8]:
    """Number of bits (n,) in which signatures a and b (n,) differ."""
    return bits_set(a ^ b)


def bits_set(x: Signatures) -> NDArray[np.uint8]:
    """Number of ones (n,) in each of x (n,)."""
    if hasattr(np, "bitwise_count"):  # NumPy 2 has it, NumPy 1 has not
        ones: NDArray[np.uint8] = np.bitwise_count(x)
    else:
        eight = np.unpackbits(np.ascontiguousarray(x).view(np.uint8).reshape(-1, 8), axis=1)
        ones = eight.sum(axis=1, dtype=np.uint8)
    return ones
