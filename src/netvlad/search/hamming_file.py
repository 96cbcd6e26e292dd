"""The inverted file of Hamming embedding: one posting a feature, which votes by the distance of the signatures.

Matches within a word as in Jegou, Douze and Schmid (ECCV 2008); votes that fall with the distance, and bursts, as in
Jegou, Douze and Schmid (CVPR 2009, sections 3 and 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.search.hamming import differing
from netvlad.search.inverted_file import InvertedFile, best_of, checked_entries, checked_postings
from netvlad.types import Array

THRESHOLD = 24  # bits that may differ between features that match, of 64
SIGMA = 12.0  # bits: a vote is exp(-(distance / SIGMA)^2)


class HammingFile:
    """Entries (photos, or places of several) as the words and signatures of their features.

    starts: (V + 1,) int64, the postings of word w are starts[w]:starts[w + 1]. entries: (M,) int32, the entry of each
    posting, rising within a word. signatures: (M,) uint64. shares: (M,) uint8, the share of its votes that counts, of
    255, or None for all (`distinctive`). size: number of entries. A feature takes 12 bytes, 13 with shares.

    A feature of the query and one of an entry match when they have a word in common and differ in at most 24 bits;
    the match votes exp(-(bits / 12)^2). With `bursts` a vote v becomes v * sqrt(v / t), where t is the sum of the
    votes of the query's feature for that entry, and then v * (v / t), where t is the sum over all entries: features
    that repeat within a photo or match everywhere would dominate otherwise. A score is the sum of the votes over the
    norms of both, sqrt(number of features).

    Words are not weighted by idf as in the paper: a feature's own matches say how rare it is, and in a tree fitted on
    other photos idf^2 finds fewer correct ones. Raises NetvladError for arrays that do not fit.
    """

    def __init__(
        self,
        starts: Array,
        entries: Array,
        signatures: Array,
        size: int,
        *,
        shares: Array | None = None,
        bursts: bool = True,
    ) -> None:
        self.starts = np.ascontiguousarray(starts, np.int64)
        self.entries = np.ascontiguousarray(entries, np.int32)
        self.signatures = np.ascontiguousarray(signatures, np.uint64)
        self.shares = None if shares is None else np.ascontiguousarray(shares, np.uint8)
        self.size, self.bursts = int(size), bursts
        checked_postings(self.starts, self.entries, self.size, signatures=self.signatures, shares=self.shares)
        norms = np.sqrt(np.bincount(self.entries, minlength=self.size))
        self._inverse = np.divide(1, norms, out=np.zeros(self.size), where=norms > 0)

    def _first(self) -> Array:
        """Whether each posting (M,) is the first of its word and entry."""
        first = np.ones(len(self.entries), bool)
        first[1:] = self.entries[1:] != self.entries[:-1]
        first[self.starts[:-1][self.starts[:-1] < len(first)]] = True
        return first

    @property
    def words(self) -> int:
        """Size of the vocabulary."""
        return len(self.starts) - 1

    @classmethod
    def build(
        cls,
        words: Sequence[Array],
        signatures: Sequence[Array],
        vocabulary: int,
        *,
        entry: Array | None = None,
        bursts: bool = True,
    ) -> HammingFile:
        """Build it from the words (n_i,) and signatures (n_i,) of each photo. entry: as for `InvertedFile.build`.

        Raises NetvladError for words out of range, or entries that do not fit.
        """
        entry, size, column = checked_entries(words, vocabulary, entry)
        signed = np.concatenate([np.empty(0, np.uint64), *signatures])
        if signed.shape != column.shape:
            raise NetvladError(f"a signature for each of {len(column)} features is wanted, got {signed.shape}")
        row = np.repeat(entry.astype(np.int32), [len(w) for w in words])
        order = np.lexsort((row, column))
        starts = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=vocabulary))])
        return cls(starts, row[order], signed[order], size, bursts=bursts)

    @classmethod
    def of_words(
        cls,
        inverted: InvertedFile,
        words: Sequence[Array],
        signatures: Sequence[Array],
        entry: Array | None = None,
    ) -> HammingFile:
        """Build it from the words that `inverted` was built from, with its shares and its `bursts`."""
        built = cls.build(words, signatures, inverted.words, entry=entry, bursts=inverted.bursts)
        if inverted.shares is not None:
            built.shares = inverted.shares[np.cumsum(built._first()) - 1]  # both in the order of word and entry
        return built

    def search(self, words: Array, signatures: Array, k: int) -> tuple[Array, Array]:
        """As `InvertedFile.search`, for a photo's words (n, m), -1 for none, and their signatures (n, m)."""
        return best_of(self.scores(words, signatures), k)

    def scores(self, words: Array, signatures: Array) -> Array:
        """Scores (size,) float32 of all entries, 0 without a match.

        A feature may have several words, the nearest first, and matches within each of them (multiple assignment, of
        the query alone).
        """
        words = np.asarray(words, np.int64)
        if words.size and (words.min() < -1 or words.max() >= self.words):
            raise NetvladError(f"words 0 to {self.words - 1} are wanted, got {words.min()} to {words.max()}")
        feature, entry, votes, share = self._matches(words, signatures)
        if self.bursts:
            pair = np.unique(feature * self.size + entry, return_inverse=True)[1]
            votes = votes * np.sqrt(_parts(votes, pair))
            votes = votes * _parts(votes, feature)
        if share is not None:
            votes = votes * (share / 255)
        features = np.count_nonzero(words[:, 0] >= 0) if words.size else 0
        total = np.bincount(entry, votes, self.size)
        return np.asarray(total * self._inverse / np.sqrt(max(features, 1)), np.float32)

    def _matches(self, words: Array, signatures: Array) -> tuple[Array, Array, Array, Array | None]:
        """The query's feature (t,), the entry (t,), the vote (t,) and the share (t,) or None of each match."""
        feature, column = np.nonzero(words >= 0)
        word, signature = words[feature, column], signatures[feature, column]
        lengths = self.starts[word + 1] - self.starts[word]
        of = np.repeat(np.arange(len(word)), lengths)
        # runs of postings one after the other: where each starts, less where it starts among all
        posting = np.arange(len(of)) + np.repeat(self.starts[word] - (np.cumsum(lengths) - lengths), lengths)
        bits = differing(signature[of], self.signatures[posting])
        near = bits <= THRESHOLD
        of, posting, bits = of[near], posting[near], bits[near]
        share = None if self.shares is None else self.shares[posting]
        return feature[of], self.entries[posting].astype(np.int64), _VOTES[bits], share

    # -- on disk ------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Arrays that `of` rebuilds it from, together with the `facts`."""
        kept: dict[str, Array] = {"starts": self.starts, "entries": self.entries, "signatures": self.signatures}
        return kept if self.shares is None else {**kept, "shares": self.shares}

    @property
    def facts(self) -> dict[str, Any]:
        """Settings that `of` rebuilds it from."""
        return {"size": self.size, "bursts": self.bursts}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> HammingFile:
        """Rebuild it from `arrays` and `facts`, which may hold more.

        Raises NetvladError or KeyError where they do not fit.
        """
        starts, entries, signatures = (arrays[name] for name in ("starts", "entries", "signatures"))
        how = {"shares": arrays.get("shares"), "bursts": facts["bursts"]}
        return cls(starts, entries, signatures, facts["size"], **how)


_VOTES = np.exp(-np.square(np.arange(THRESHOLD + 1) / SIGMA))


def _parts(votes: Array, group: Array) -> Array:
    """Votes as parts of the sums of their groups, which are numbers from 0."""
    return np.asarray(votes / np.bincount(group, votes)[group])
