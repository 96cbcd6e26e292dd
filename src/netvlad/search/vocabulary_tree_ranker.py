"""A vocabulary tree and an inverted file as a ranker of photos (Schindler, Brown and Szeliski, CVPR 2007)."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.places import Neighbours
from netvlad.runtime.artifacts import read_artifact, write_versioned
from netvlad.runtime.progress import progress
from netvlad.search.distinctive import distinctive_shares
from netvlad.search.hamming import HammingEmbedding
from netvlad.search.hamming_file import HammingFile
from netvlad.search.informative import most_informative
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.tree_fit import draw_features, fit_tree, numbered
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Array, BoolArray, Ranking

BLOCK = 64  # photos whose features go down the tree together
KIND = "vocabulary tree ranker"
SEVERAL = 3  # words of a query's feature under Hamming embedding


class PhotoWords(NamedTuple):
    """Visual words (n, m) int32 of a photo's features and, under Hamming embedding, their signatures (n, m)."""

    words: Array
    signatures: Array | None


class VocabularyTreeRanker:
    """Ranks `photos` for a query by the visual words of RootSIFT features that they share; without global vectors.

    tree: of visual words; by default fitted on `photos` with `branching` and `depth` (default: 5, under Hamming
    embedding 4). paths: greedy N-best paths for the word of a feature, of photos and queries alike. places: number or
    name of the place of each photo; photos of one place share an entry, whose id is the row of its first photo
    (default: each photo its own). informative: share of the features of each entry that is kept, those that say most
    about it; also of a tree fitted here. norm, bursts: as for `InvertedFile`. hamming: features match by their
    signatures too (`HammingFile`, which has its own norm), those of a query in their 3 nearest words. near: the photos
    that may show the place of each photo; where given, words that an entry shares with other places count less
    (`distinctive_shares`). options: `FeatureStore`'s most, resize, enlarge and folder.
    """

    name = "vocabtree"
    dim: int | None = None

    def __init__(
        self,
        photos: Sequence[str],
        tree: VocabularyTree | None = None,
        *,
        branching: int = 10,
        depth: int | None = None,
        paths: int = 5,
        places: Sequence[Any] | Array | None = None,
        informative: float = 1.0,
        norm: str = "length",
        bursts: bool = True,
        hamming: bool = False,
        near: Neighbours | None = None,
        seed: int = 0,
        workers: int | None = None,
        **options: Any,
    ) -> None:
        self._set(paths, workers, options)
        how: dict[str, Any] = {"branching": branching, "depth": depth or (4 if hamming else 5), "seed": seed}
        how |= {"informative": informative, "places": places}
        self.tree, self.embedding = self._fitted(photos, tree, hamming, how)
        start = time.perf_counter()
        words, signatures = [], []
        for found in self._words(photos, "database", 1, self._unreadable):
            words.append(found.words[:, 0])
            signatures.append(np.empty(0, np.uint64) if found.signatures is None else found.signatures[:, 0])
        self._rows, entry = numbered(photos, places)
        if informative != 1:
            keep = _informative(words, entry, informative)
            words = [w[k] for w, k in zip(words, keep, strict=True)]
            signatures = [s[k] for s, k in zip(signatures, keep, strict=True)] if hamming else signatures
        inverted = InvertedFile.build(words, self.tree.words, entry=entry, norm=norm, bursts=bursts)
        if near is not None:
            inverted.shares = distinctive_shares(inverted, near, entry)
        self.inverted: InvertedFile | HammingFile = inverted
        if hamming:
            self.inverted = HammingFile.of_words(inverted, words, signatures, entry)
        self._digest = _digest(photos)
        self._seconds["describe database"] = time.perf_counter() - start

    def _set(self, paths: int, workers: int | None, options: dict[str, Any]) -> None:
        """What a ranker has whether it is built or loaded."""
        if paths < 1:
            raise NetvladError(f"at least 1 path must go down the tree, got {paths}")
        self.paths, self.workers, self.options = paths, workers, options
        self._store = sift_store(**options)
        self._seconds: dict[str, float] = {}  # of building, and photos of the database that could not be read
        self._unreadable: dict[str, str] = {}

    def _fitted(
        self, photos: Sequence[str], tree: VocabularyTree | None, hamming: bool, how: dict[str, Any]
    ) -> tuple[VocabularyTree, HammingEmbedding | None]:
        """The tree, fitted unless given, and the embedding, if wanted, on features of `photos` drawn once."""
        if tree is not None and not hamming:
            return tree, None
        start, embedding = time.perf_counter(), None
        drawn = draw_features(photos, seed=how["seed"], workers=self.workers, **self.options)
        if tree is None:
            tree = fit_tree(photos, **how, paths=self.paths, drawn=drawn)
        if hamming:
            words = tree.quantise(drawn.x, self.paths)
            embedding = HammingEmbedding.fit(drawn.x, words, tree.words, seed=how["seed"])
        self._seconds["fit tree on database"] = time.perf_counter() - start
        return tree, embedding

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank by the visual words in common; photos without any are left out.

        The ranking is empty for a query without features (black, a few pixels wide) or one that cannot be read.
        """
        ids = np.full((len(photos), k), -1, np.int64)
        scores = np.full((len(photos), k), -np.inf, np.float32)
        start, searching = time.perf_counter(), 0.0
        several, unreadable = SEVERAL if self.embedding else 1, dict(self._unreadable)
        for row, found in enumerate(self._words(photos, "queries", several, unreadable)):
            began = time.perf_counter()
            entries, votes = self._search(found, k)
            ids[row, : len(entries)], scores[row, : len(entries)] = self._rows[entries], votes
            searching += time.perf_counter() - began
        described = time.perf_counter() - start - searching
        seconds = {**self._seconds, "describe queries": described, "search": searching}
        return Ranking(ids, scores, seconds, unreadable)

    def _search(self, query: PhotoWords, k: int) -> tuple[Array, Array]:
        if isinstance(self.inverted, InvertedFile):
            return self.inverted.search(query.words[:, 0], k)
        assert query.signatures is not None  # `_words` adds them where there is an embedding
        return self.inverted.search(query.words, query.signatures, k)

    def _words(
        self, photos: Sequence[str], which: str, several: int, unreadable: dict[str, str]
    ) -> Iterator[PhotoWords]:
        """The `several` nearest words of each photo's features. One that cannot be read has none and is added to
        `unreadable`."""
        waiting: list[Array] = []

        def flush() -> Iterator[PhotoWords]:
            if not waiting:
                return
            x, ends = rootsift(waiting), np.cumsum([len(found) for found in waiting])[:-1]
            words = self.tree.nearest(x, self.paths, several)
            signatures: Sequence[Array | None] = [None] * len(waiting)
            if self.embedding:
                signatures = np.split(self.embedding.signatures(x, words), ends)
            yield from map(PhotoWords, np.split(words, ends), signatures)
            waiting.clear()

        with progress(f"{self.name}: describe {which}", len(photos)) as advance:
            for found in sift_of(photos, self._store, workers=self.workers):
                if found.reason:
                    unreadable[photos[found.row]] = found.reason
                waiting.append(found.descriptors)
                if len(waiting) == BLOCK:
                    yield from flush()
                advance(1)
            yield from flush()

    # -- on disk ------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the tree and the inverted file into one folder, whole or not at all; what was there is replaced.

        Raises PlaceIndexError for a folder that holds something else.
        """
        tree, inverted = self.tree.arrays(), self.inverted.arrays()
        embedding = self.embedding.arrays() if self.embedding else {}
        options = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in self.options.items() if k != "folder"}
        facts = {**self.inverted.facts, "paths": self.paths, "options": options, "photos": self._digest}
        facts["hamming"] = self.embedding is not None
        arrays = {**tree, **inverted, **embedding, "photo": self._rows}
        return write_versioned(folder, arrays, kind=KIND, facts=facts, error=PlaceIndexError)

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        photos: Sequence[str],
        *,
        workers: int | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> VocabularyTreeRanker:
        """Read what `save` wrote, for the same `photos` in the same order: ids are rows of them.

        cache: folder that keeps local features. Raises PlaceIndexError where the folder is missing, broken, or of
        other photos.
        """
        arrays, facts = read_artifact(folder, kind=KIND, error=PlaceIndexError)
        if facts.get("photos") != _digest(photos):
            reason = f"was built from other photos than these {len(photos)}, or in another order"
            raise PlaceIndexError(reason, path=folder)
        ranker = cls.__new__(cls)
        try:
            ranker._set(facts["paths"], workers, {**facts["options"], **({"folder": cache} if cache else {})})
            ranker.tree = VocabularyTree.of(arrays)
            hamming = facts["hamming"]
            ranker.inverted = HammingFile.of(arrays, facts) if hamming else InvertedFile.of(arrays, facts)
            ranker.embedding = HammingEmbedding.of(arrays) if hamming else None
            ranker._rows, ranker._digest = arrays["photo"], facts["photos"]
        except (KeyError, TypeError, ValueError, NetvladError) as e:
            raise PlaceIndexError(f"does not hold a {KIND} ({e})", path=folder) from e
        words = {part.words for part in (ranker.tree, ranker.inverted, ranker.embedding) if part}
        if len(words) > 1 or ranker._rows.shape != (ranker.inverted.size,):
            raise PlaceIndexError("the tree and the inverted file in it are not of one vocabulary", path=folder)
        return ranker


def _informative(words: Sequence[Array], entry: Array, fraction: float) -> list[BoolArray]:
    """Whether each word of each photo is among those that say most about its entry."""
    lengths = [len(w) for w in words]
    photo = np.repeat(np.arange(len(words)), lengths)
    keep = most_informative(np.concatenate([np.empty(0, np.int32), *words]), photo, entry, fraction)
    return np.split(keep, np.cumsum(lengths)[:-1])


def _digest(photos: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(photos).encode("utf-8", "surrogateescape")).hexdigest()
