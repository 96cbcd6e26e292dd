"""The inverted file: the entries that have each visual word, and tf-idf votes for those alone.

tf-idf as in Video Google (Sivic and Zisserman, ICCV 2003); bursts of one word as in Jegou, Douze and Schmid (CVPR 2009,
section 3): the number of times a word occurs counts by its square root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csc_array

from netvlad.errors import NetvladError
from netvlad.types import Array

NORMS = ("length", "features")
MOST = int(np.iinfo(np.uint16).max)  # times that a word counts in an entry


class InvertedFile:
    """Entries (photos, or places of several) as sparse bags of visual words.

    starts: (V + 1,) int64, the postings of word w are starts[w]:starts[w + 1]. entries: (M,) int32, the entry of each
    posting, rising within a word. counts: (M,) uint16, how often the entry has the word. shares: (M,) uint8, the share
    of its votes that counts, of 255, or None for all (`distinctive`). size: number of entries. A posting takes 6 bytes,
    7 with shares.

    A query and an entry are vectors of tf * idf, with idf(w) = log((size + 1) / entries that have w); the 1 keeps the
    scores of a database of one entry above 0. tf is how often the word occurs, its square root with `bursts`. The
    score is their dot product over their norms: "length", L2, the cosine of the two; or "features", the number of
    features of each, as Schindler et al. (2007) divide votes. Cosine is the default: it ranks the correct photo first
    more often, since a number of features leaves the repeated words of a photo their weight.
    Raises NetvladError for arrays that do not fit.
    """

    def __init__(
        self,
        starts: Array,
        entries: Array,
        counts: Array,
        size: int,
        *,
        norm: str = "length",
        bursts: bool = True,
        shares: Array | None = None,
    ) -> None:
        if norm not in NORMS:
            raise NetvladError(f"no norm is called {norm!r}; choose one of {', '.join(NORMS)}")
        self.starts = np.ascontiguousarray(starts, np.int64)
        self.entries = np.ascontiguousarray(entries, np.int32)
        self.counts = np.ascontiguousarray(counts, np.uint16)
        self.shares = None if shares is None else np.ascontiguousarray(shares, np.uint8)
        self.size, self.norm, self.bursts = int(size), norm, bursts
        checked_postings(self.starts, self.entries, self.size, counts=self.counts, shares=self.shares)
        having = np.diff(self.starts)
        self._idf = np.log((self.size + 1) / np.maximum(having, 1))
        self._inverse = self._inverse_norms()

    @property
    def words(self) -> int:
        """Size of the vocabulary."""
        return len(self.starts) - 1

    @classmethod
    def build(
        cls, words: Sequence[Array], vocabulary: int, *, entry: Array | None = None, **options: Any
    ) -> InvertedFile:
        """Build it from the words (n_i,) of each photo, numbers below `vocabulary`. options: norm, bursts.

        entry: the entry of each photo, from 0 up, where photos share entries (default: each photo its own).
        Raises NetvladError for words out of range, or entries that do not fit.
        """
        entry, size, column = checked_entries(words, vocabulary, entry)
        row = np.repeat(entry.astype(np.int32), [len(w) for w in words])
        table = coo_array((np.ones(len(row), np.int32), (row, column)), shape=(size, vocabulary)).tocsc()
        table.sum_duplicates()
        counts = np.minimum(table.data, MOST).astype(np.uint16)
        return cls(table.indptr, table.indices, counts, size, **options)

    def search(self, words: Array, k: int) -> tuple[Array, Array]:
        """The best entries (m,) int64, at most k, for a photo of these words (n,), and their scores (m,) float32.

        Best first, ties in the order of the entries. Entries without a word in common are left out.
        """
        return best_of(self.scores(words), k)

    def scores(self, words: Array) -> Array:
        """Scores (size,) float32 of all entries for a photo of these words (n,), 0 without a word in common."""
        words, times = np.unique(np.asarray(words, np.int64), return_counts=True)
        if len(words) and (words[0] < 0 or words[-1] >= self.words):
            raise NetvladError(f"words 0 to {self.words - 1} are wanted, got {words[0]} to {words[-1]}")
        weights = self._tf(times) * self._idf[words]
        norm = np.sqrt(weights @ weights) if self.norm == "length" else times.sum()
        votes = self._votes(words, (weights * self._idf[words] / max(norm, 1e-12)).astype(np.float32))
        return np.asarray(votes * self._inverse)

    def _votes(self, words: Array, weights: Array) -> Array:
        """Sum of weights (u,) * tf over the postings of words (u,): (size,) float32."""
        spans = [slice(*self.starts[word : word + 2]) for word in words]
        if not spans:
            return np.zeros(self.size, np.float32)
        entries = np.concatenate([self.entries[span] for span in spans])
        ends = np.cumsum([0] + [span.stop - span.start for span in spans])
        ends = ends.astype(np.int32 if len(entries) < 2**31 else np.int64)  # else scipy would copy the entries
        tf = self._tf(np.concatenate([self.counts[span] for span in spans])).astype(np.float32)
        if self.shares is not None:
            tf *= np.concatenate([self.shares[span] for span in spans]) / np.float32(255)
        return np.asarray(csc_array((tf, entries, ends), shape=(self.size, len(words))) @ weights)

    def _tf(self, times: Array) -> Array:
        return np.sqrt(times, dtype=np.float32) if self.bursts else times

    def weights(self) -> Array:
        """tf * idf (M,) float32 of each posting, without norms and shares."""
        return self._tf(self.counts) * np.repeat(self._idf.astype(np.float32), np.diff(self.starts))

    def _inverse_norms(self) -> Array:
        """1 / norm of each entry, (size,) float32; 0 for one without features."""
        if self.norm == "features":
            norms = np.bincount(self.entries, self.counts, self.size)
        else:
            norms = np.sqrt(np.bincount(self.entries, np.square(self.weights()), self.size))
        return np.asarray(np.divide(1, norms, out=np.zeros(self.size), where=norms > 0), np.float32)

    # -- on disk ------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Arrays that `of` rebuilds it from, together with the `facts`."""
        kept: dict[str, Array] = {"starts": self.starts, "entries": self.entries, "counts": self.counts}
        return kept if self.shares is None else {**kept, "shares": self.shares}

    @property
    def facts(self) -> dict[str, Any]:
        """Settings that `of` rebuilds it from."""
        return {"size": self.size, "norm": self.norm, "bursts": self.bursts}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> InvertedFile:
        """Rebuild it from `arrays` and `facts`, which may hold more.

        Raises NetvladError or KeyError where they do not fit.
        """
        starts, entries, counts = (arrays[name] for name in ("starts", "entries", "counts"))
        how = {"norm": facts["norm"], "bursts": facts["bursts"], "shares": arrays.get("shares")}
        return cls(starts, entries, counts, facts["size"], **how)


def checked_entries(words: Sequence[Array], vocabulary: int, entry: Array | None) -> tuple[Array, int, Array]:
    """Entry (N,) of each photo, the number of entries, and all words (n,) int32. Raises NetvladError as `build`."""
    entry = np.arange(len(words)) if entry is None else np.asarray(entry)
    if entry.shape != (len(words),) or (len(entry) and entry.min() < 0):
        raise NetvladError(f"an entry from 0 up is wanted for each of {len(words)} photos, got {entry.shape}")
    column = np.concatenate([np.empty(0, np.int32), *words]).astype(np.int32, copy=False)
    if len(column) and (column.min() < 0 or column.max() >= vocabulary):
        raise NetvladError(f"words 0 to {vocabulary - 1} are wanted, got {column.min()} to {column.max()}")
    return entry, int(entry.max()) + 1 if len(entry) else 0, column


def best_of(scores: Array, k: int) -> tuple[Array, Array]:
    """The best entries (m,) int64, at most k, of those that score above 0, and their scores (m,), best first."""
    found = np.flatnonzero(scores > 0)
    if len(found) > k:
        least = np.partition(scores[found], -k)[-k] if k else np.inf
        found = found[scores[found] >= least]
    found = found[np.argsort(-scores[found], kind="stable")[:k]]
    return found, scores[found]


def checked_postings(starts: Array, entries: Array, size: int, **beside: Array | None) -> None:
    """Raise NetvladError unless `starts` rise, and entries and the arrays beside them have a value for each posting."""
    if starts.ndim != 1 or not len(starts) or starts[0] != 0 or (np.diff(starts) < 0).any():
        raise NetvladError("the postings' starts must rise from 0")
    for name, values in {"entries": entries, **beside}.items():
        if values is not None and values.shape != (starts[-1],):
            raise NetvladError(f"{starts[-1]} postings are wanted, got {name} {values.shape}")
    if len(entries) and (entries.min() < 0 or entries.max() >= size):
        raise NetvladError(f"entries 0 to {size - 1} are wanted, got {entries.min()} to {entries.max()}")
