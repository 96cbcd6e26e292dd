"""Hamming embedding: what a visual word forgets of a descriptor, as bits (Jegou, Douze and Schmid, ECCV 2008)."""

from __future__ import annotations

import numpy as np

from netvlad.errors import NetvladError

BITS = 64  # of a signature
LEAST = 8  # training descriptors that a word's medians are worth something of


class HammingEmbedding:
    """Signatures that tell apart descriptors of one visual word: each bit says on which side of the word's median a
    random projection of the descriptor lies, so that near descriptors have few bits that differ.

    projection (64, D) float32, orthonormal rows; medians (V, 64) float32, of each word. `fit` makes one. 256 bytes a
    word. Raises NetvladError for shapes that are no such thing.
    """

    def __init__(self, projection: np.ndarray, medians: np.ndarray):
        self.projection = np.ascontiguousarray(projection, np.float32)
        self.medians = np.ascontiguousarray(medians, np.float32)
        fits = self.projection.ndim == self.medians.ndim == 2 and self.medians.shape[1] == BITS
        if not fits or self.projection.shape[0] != BITS:
            shapes = f"{self.projection.shape} and {self.medians.shape}"
            raise NetvladError(f"a projection ({BITS}, D) and medians (words, {BITS}) are wanted, got {shapes}")

    @property
    def words(self) -> int:
        return len(self.medians)

    @classmethod
    def fit(cls, descriptors: np.ndarray, words: np.ndarray, vocabulary: int, *, seed: int = 0) -> HammingEmbedding:
        """On `descriptors` (n, D) of these `words` (n,), numbers below `vocabulary`; D at least 64.

        A word of fewer than 8 descriptors gets the medians of all. Raises NetvladError where something does not fit.
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

    def signatures(self, descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Of each of `descriptors` (n, D) the bits (n, m) uint64 in its `words` (n, m); 0 for -1, no word."""
        projected = np.asarray(descriptors, np.float32) @ self.projection.T
        signatures = np.zeros(words.shape, np.uint64)
        for column in range(words.shape[1]):
            word = words[:, column]
            bits = np.packbits(projected > self.medians[word], axis=1).view(np.uint64)[:, 0]
            signatures[:, column] = np.where(word >= 0, bits, 0)
        return signatures

    def arrays(self) -> dict[str, np.ndarray]:
        """What `of` makes it from again."""
        return {"projection": self.projection, "medians": self.medians}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> HammingEmbedding:
        """From `arrays`, which may hold more. Raises NetvladError or KeyError where they do not fit."""
        return cls(arrays["projection"], arrays["medians"])


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many bits differ between signatures a and b (n,) uint64: (n,) uint8."""
    return bits_set(a ^ b)


def bits_set(x: np.ndarray) -> np.ndarray:
    """Ones in each number of x (n,) uint64: (n,) uint8."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(x)
    return np.unpackbits(np.ascontiguousarray(x).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.uint8)
