"""The inverted file of Hamming embedding: one posting a feature, which votes by how alike the signatures are.

Jegou, Douze and Schmid (ECCV 2008) for matches within a word; the same (CVPR 2009, sections 3 and 4.1) for votes that
fall with the distance and for bursts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netvlad.errors import NetvladError
from netvlad.search.hamming import differing
from netvlad.search.inverted_file import InvertedFile, best_of, checked_entries, checked_postings

THRESHOLD = 24  # bits that may differ between features that match, of 64
SIGMA = 12.0  # bits: a vote is exp(-(distance / SIGMA)^2)


class HammingFile:
    """Entries (photos, or places of several) as their features: of each its word and its signature.

    starts (V + 1,) int64: the postings of word w are starts[w]:starts[w + 1]; entries (M,) int32: whose each is, rising
    within a word; signatures (M,) uint64; shares (M,) uint8: what is left of its votes, of 255, or None for all of
    them (`distinctive`). size: entries. 12 bytes a feature, 13 with shares.

    A feature of the query and one of an entry match when they have a word in common and differ in at most 24 bits;
    the match votes exp(-(bits / 12)^2). With `bursts` a vote v counts v * sqrt(v / t), t being all votes of the query's
    feature for that entry, and what remains v * (v / t), t being what remains of them over all entries: what repeats
    within a photo or matches everywhere would have too much of a say. A score is the sum of the votes over the norms of
    both, sqrt(number of features).

    Words are not weighted by idf, as they are there: how rarely a feature's like is met is what its own matches say,
    and in a tree fitted on other photos idf^2 finds fewer right ones.
    """

    def __init__(self, starts, entries, signatures, size: int, *, shares=None, bursts: bool = True):
        self.starts = np.ascontiguousarray(starts, np.int64)
        self.entries = np.ascontiguousarray(entries, np.int32)
        self.signatures = np.ascontiguousarray(signatures, np.uint64)
        self.shares = None if shares is None else np.ascontiguousarray(shares, np.uint8)
        self.size, self.bursts = int(size), bursts
        beside = {"signatures": self.signatures, **({} if shares is None else {"shares": self.shares})}
        checked_postings(self.starts, self.entries, self.size, **beside)
        norms = np.sqrt(np.bincount(self.entries, minlength=self.size))
        self._inverse = np.divide(1, norms, out=np.zeros(self.size), where=norms > 0)

    def _first(self) -> np.ndarray:
        """Which postings are the first of their word and entry, bool (M,)."""
        first = np.ones(len(self.entries), bool)
        first[1:] = self.entries[1:] != self.entries[:-1]
        first[self.starts[:-1][self.starts[:-1] < len(first)]] = True
        return first

    @property
    def words(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def build(
        cls, words: Sequence[np.ndarray], signatures: Sequence[np.ndarray], vocabulary: int, *, entry=None, **options
    ) -> HammingFile:
        """Of the words (n_i,) and signatures (n_i,) of each photo. entry: as for `InvertedFile.build`; options: bursts.

        Raises NetvladError for words out of range, or entries that do not fit.
        """
        entry, size, column = checked_entries(words, vocabulary, entry)
        signed = np.concatenate([np.empty(0, np.uint64), *signatures])
        if signed.shape != column.shape:
            raise NetvladError(f"a signature for each of {len(column)} features is wanted, got {signed.shape}")
        row = np.repeat(entry.astype(np.int32), [len(w) for w in words])
        order = np.lexsort((row, column))
        starts = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=vocabulary))])
        return cls(starts, row[order], signed[order], size, **options)

    @classmethod
    def of_words(cls, inverted: InvertedFile, words, signatures, entry=None) -> HammingFile:
        """As `build`, of the words that `inverted` was built of, with its shares and its regard to bursts."""
        built = cls.build(words, signatures, inverted.words, entry=entry, bursts=inverted.bursts)
        if inverted.shares is not None:
            built.shares = inverted.shares[np.cumsum(built._first()) - 1]  # both in the order of word and entry
        return built

    def search(self, words: np.ndarray, signatures: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `InvertedFile.search`, for a photo's words (n, m), -1 for none, and its signatures for each, (n, m)."""
        return best_of(self.scores(words, signatures), k)

    def scores(self, words: np.ndarray, signatures: np.ndarray) -> np.ndarray:
        """Scores (size,) float32 of all entries; 0 without a match. A feature may have several words, the nearest
        first: it matches within each of them (multiple assignment to the query alone)."""
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
        return (total * self._inverse / np.sqrt(max(features, 1))).astype(np.float32)

    def _matches(self, words: np.ndarray, signatures: np.ndarray) -> tuple:
        """Of each match the query's feature (t,), the entry (t,), the vote (t,) and the share (t,) or None."""
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

    def arrays(self) -> dict[str, np.ndarray]:
        """What `of` makes it from again, together with the `facts`."""
        kept = {"starts": self.starts, "entries": self.entries, "signatures": self.signatures}
        return kept if self.shares is None else {**kept, "shares": self.shares}

    @property
    def facts(self) -> dict:
        return {"size": self.size, "bursts": self.bursts}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], facts: dict) -> HammingFile:
        """From `arrays` and `facts`, which may hold more. Raises NetvladError or KeyError where they do not fit."""
        postings = (arrays[name] for name in ("starts", "entries", "signatures"))
        return cls(*postings, facts["size"], shares=arrays.get("shares"), bursts=facts["bursts"])


_VOTES = np.exp(-np.square(np.arange(THRESHOLD + 1) / SIGMA))


def _parts(votes: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Of each vote its part of the sum of its group's; groups are numbers from 0."""
    return votes / np.bincount(group, votes)[group]
