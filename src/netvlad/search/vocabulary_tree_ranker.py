"""A vocabulary tree and an inverted file as a ranker of photos (Schindler, Brown and Szeliski, CVPR 2007)."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.places import Neighbours, Places
from netvlad.registry import register_ranker
from netvlad.runtime.artifacts import read_artifact, read_card, write_versioned
from netvlad.runtime.progress import progress
from netvlad.search.distinctive import distinctive_shares
from netvlad.search.hamming import HammingEmbedding
from netvlad.search.hamming_file import HammingFile
from netvlad.search.informative import most_informative
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.tree_fit import draw_features, fit_tree, numbered
from netvlad.search.vocabulary_tree import KIND as TREE
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Ranking

BLOCK = 64  # photos whose features go down the tree together
KIND = "vocabulary tree ranker"
NAMES = "vocabtree, with branching x depth, greedy paths and scoring as wanted: vocabtree-10x5-n5-hamming-distinct"
SEVERAL = 3  # words of a query's feature under Hamming embedding


@register_ranker("vocabtree")
def vocabulary_tree_ranker(
    database: Places,
    *,
    variant: str = "",
    tree: str | os.PathLike[str] | None = None,
    near: Callable[[], Neighbours] | None = None,
    **options: Any,
) -> VocabularyTreeRanker:
    """The ranker over `database` that a name stands for.

    variant: branching x depth, greedy paths and scoring, any of them: "10x5-n5-hamming-distinct". tree: folder of a
    saved tree to use in place of one fitted on the database. near: needed for "distinct". options: as for
    VocabularyTreeRanker. Raises NetvladError for another variant, and PlaceIndexError for an unreadable tree.
    """
    found = re.fullmatch(r"(?:-(\d+)x(\d+))?(?:-n(\d+))?(-hamming)?(-distinct)?", f"-{variant}" if variant else "")
    if found is None:
        raise NetvladError(f"no vocabulary tree is called 'vocabtree-{variant}'; choose {NAMES}")
    *numbers, hamming, distinct = found.groups()
    if distinct and near is None:
        name = f"vocabtree-{variant}"
        raise NetvladError(f"{name} learns from photos of other places, and nothing tells here which those are")
    given = zip(("branching", "depth", "paths"), numbers, strict=True)
    options |= {key: int(number) for key, number in given if number}
    loaded = None if tree is None else VocabularyTree.load(tree)
    return VocabularyTreeRanker(
        database.path, loaded, hamming=bool(hamming), near=near() if near and distinct else None, **options
    )


def is_tree_folder(name: str) -> bool:
    """Whether `name` is the folder of a saved vocabulary tree."""
    return (Path(name) / "card.json").is_file() and read_card(name, error=PlaceIndexError)["kind"] == TREE


class VocabularyTreeRanker:
    """Ranks `photos` for a query by the visual words of RootSIFT features that they share; without global vectors.

    tree: of visual words; by default fitted on `photos`, `branching` and `depth` say how. paths: greedy N-best paths
    for a feature's word, of photos and queries alike. places: of each photo a number or name; photos of one place
    share an entry, which is told as the row of its first photo (default: each photo an entry of its own).
    informative: share of the features of each entry that are kept, those that tell most about it; of a tree fitted
    here too. norm, bursts: as for `InvertedFile`. hamming: features match by their signatures too (`HammingFile`,
    which has a norm of its own), those of a query in its 3 nearest words; by default a tree fitted here is 4 deep
    then, else 5. near: of each photo the photos that may show the same place; where given, what an entry shares with
    others counts less (`distinctive_shares`). options: `FeatureStore`'s most, resize, enlarge and folder.
    """

    name, dim = "vocabtree", None

    def __init__(
        self,
        photos: Sequence[str],
        tree: VocabularyTree | None = None,
        *,
        branching: int = 10,
        depth: int | None = None,
        paths: int = 5,
        places=None,
        informative: float = 1.0,
        norm: str = "length",
        bursts: bool = True,
        hamming: bool = False,
        near: Neighbours | None = None,
        seed: int = 0,
        workers: int | None = None,
        **options,
    ):
        self._set(paths, workers, options)
        how = {"branching": branching, "depth": depth or (4 if hamming else 5)}
        self._fit(photos, tree, hamming, seed, {**how, "informative": informative, "places": places})
        start = time.perf_counter()
        words, signatures = [], []
        for found, signed in self._words(photos, "database", 1, self._unreadable):
            words.append(found[:, 0])
            signatures.append(None if signed is None else signed[:, 0])
        self._rows, entry = numbered(photos, places)
        if informative != 1:
            words, signatures = _kept(words, signatures, entry, informative)
        self.inverted = InvertedFile.build(words, self.tree.words, entry=entry, norm=norm, bursts=bursts)
        if near is not None:
            self.inverted.shares = distinctive_shares(self.inverted, near, entry)
        if hamming:
            self.inverted = HammingFile.of_words(self.inverted, words, signatures, entry)
        self._digest = _digest(photos)
        self._seconds["describe database"] = time.perf_counter() - start

    def _set(self, paths: int, workers: int | None, options: dict) -> None:
        if paths < 1:
            raise NetvladError(f"at least 1 path must go down the tree, got {paths}")
        self.paths, self.workers, self.options = paths, workers, options
        self._store = sift_store(**options)
        self.embedding: HammingEmbedding | None = None
        self._seconds: dict[str, float] = {}  # of building, and photos of the database that could not be read
        self._unreadable: dict[str, str] = {}

    def _fit(self, photos: Sequence[str], tree: VocabularyTree | None, hamming: bool, seed: int, how: dict) -> None:
        """The tree, if it is not there, and the embedding, if wanted, on features of `photos` drawn once."""
        self.tree = tree
        if tree is not None and not hamming:
            return
        start = time.perf_counter()
        drawn = draw_features(photos, seed=seed, workers=self.workers, **self.options)
        if tree is None:
            self.tree = fit_tree(photos, **how, paths=self.paths, seed=seed, drawn=drawn)
        if hamming:
            words = self.tree.quantise(drawn.x, self.paths)
            self.embedding = HammingEmbedding.fit(drawn.x, words, self.tree.words, seed=seed)
        self._seconds["fit tree on database"] = time.perf_counter() - start

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Rank by the visual words in common: photos without any are left out of a query's ranking.

        It is empty for a query without features (black, a few pixels wide) and for one that cannot be read.
        """
        ids = np.full((len(photos), k), -1, np.int64)
        scores = np.full((len(photos), k), -np.inf, np.float32)
        start, searching = time.perf_counter(), 0.0
        several, unreadable = SEVERAL if self.embedding else 1, dict(self._unreadable)
        for row, (words, signatures) in enumerate(self._words(photos, "queries", several, unreadable)):
            began = time.perf_counter()
            asked = (words[:, 0],) if signatures is None else (words, signatures)
            entries, found = self.inverted.search(*asked, k)
            ids[row, : len(found)], scores[row, : len(found)] = self._rows[entries], found
            searching += time.perf_counter() - began
        described = time.perf_counter() - start - searching
        seconds = {**self._seconds, "describe queries": described, "search": searching}
        return Ranking(ids, scores, seconds, unreadable)

    def _words(self, photos: Sequence[str], which: str, several: int, unreadable: dict[str, str]) -> Iterator[tuple]:
        """The visual words (n, several) of each photo and, under Hamming embedding, their signatures, else None.

        A photo that cannot be read has none, and is added to `unreadable`.
        """
        waiting: list[np.ndarray] = []

        def flush() -> Iterator[tuple]:
            x, ends = rootsift(waiting), np.cumsum([len(found) for found in waiting])[:-1]
            words = self.tree.nearest(x, self.paths, several)
            signatures = [None] * len(waiting)
            if self.embedding:
                signatures = np.split(self.embedding.signatures(x, words), ends)
            if waiting:
                yield from zip(np.split(words, ends), signatures, strict=True)
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

    def save(self, folder: str | os.PathLike) -> Path:
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
        cls, folder: str | os.PathLike, photos: Sequence[str], *, workers: int | None = None, cache=None
    ) -> VocabularyTreeRanker:
        """Read what `save` wrote for the same `photos` in the same order: the ids are rows of them.

        cache: the features' folder, as for a new ranker `folder`. Raises PlaceIndexError where what is in the folder
        is missing, broken, or of other photos.
        """
        arrays, facts = read_artifact(folder, kind=KIND, error=PlaceIndexError)
        if facts.get("photos") != _digest(photos):
            raise PlaceIndexError(f"{folder}: was made of other photos than these {len(photos)}, or in another order")
        ranker = cls.__new__(cls)
        try:
            ranker._set(facts["paths"], workers, {**facts["options"], **({"folder": cache} if cache else {})})
            ranker.tree = VocabularyTree.of(arrays)
            ranker.inverted = (HammingFile if facts["hamming"] else InvertedFile).of(arrays, facts)
            ranker.embedding = HammingEmbedding.of(arrays) if facts["hamming"] else None
            ranker._rows, ranker._digest = arrays["photo"], facts["photos"]
        except (KeyError, TypeError, ValueError, NetvladError) as e:
            raise PlaceIndexError(f"{folder}: does not hold a {KIND} ({e})") from e
        words = {part.words for part in (ranker.tree, ranker.inverted, ranker.embedding) if part}
        if len(words) > 1 or ranker._rows.shape != (ranker.inverted.size,):
            raise PlaceIndexError(f"{folder}: the tree and the inverted file in it are not of one vocabulary")
        return ranker


def _kept(words: list, signatures: list, entry: np.ndarray, informative: float) -> tuple[list, list]:
    """Of the words and signatures of each photo those that tell most about its entry."""
    lengths = [len(w) for w in words]
    photo = np.repeat(np.arange(len(words)), lengths)
    keep = most_informative(np.concatenate([np.empty(0, np.int32), *words]), photo, entry, informative)
    parts = np.split(keep, np.cumsum(lengths)[:-1])
    signed = [None if s is None else s[k] for s, k in zip(signatures, parts, strict=True)]
    return [w[k] for w, k in zip(words, parts, strict=True)], signed


def _digest(photos: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(photos).encode("utf-8", "surrogateescape")).hexdigest()
