"""A vocabulary tree and an inverted file as a ranker of photos (Schindler, Brown and Szeliski, CVPR 2007)."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.progress import progress
from netvlad.search.extraction import NO_FEATURES, rootsift, sift_of, sift_store
from netvlad.search.informative import most_informative
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.saved import read_arrays, read_card, save_arrays
from netvlad.search.tree_fit import fit_tree, numbered
from netvlad.search.vocabulary_tree import KIND as TREE
from netvlad.search.vocabulary_tree import VocabularyTree

BLOCK = 64  # photos whose features go down the tree together
KIND = "vocabulary tree ranker"
NAMES = "vocabtree, vocabtree-10x5, vocabtree-n5 or vocabtree-10x5-n5 (branching x depth, greedy paths)"


def ranker_named(name: str, photos: Sequence[str], **options) -> VocabularyTreeRanker | None:
    """The ranker over `photos` that a name (NAMES) or the folder of a saved tree stands for; None for any other name.

    options: as for VocabularyTreeRanker. Raises NetvladError for a name that begins like one and goes on otherwise,
    PlaceIndexError for a tree that cannot be read.
    """
    folder = Path(name)
    if (folder / "card.json").is_file() and read_card(folder).get("kind") == TREE:
        return VocabularyTreeRanker(photos, VocabularyTree.load(folder), **options)
    if not name.startswith("vocabtree"):
        return None
    found = re.fullmatch(r"vocabtree(?:-(\d+)x(\d+))?(?:-n(\d+))?", name)
    if found is None:
        raise NetvladError(f"no vocabulary tree is called {name!r}; choose {NAMES}")
    given = zip(("branching", "depth", "paths"), found.groups(), strict=True)
    return VocabularyTreeRanker(photos, **{key: int(number) for key, number in given if number}, **options)


class VocabularyTreeRanker:
    """Ranks `photos` for a query by the visual words of RootSIFT features that they share; without global vectors.

    tree: of visual words; by default fitted on `photos`, `branching` and `depth` say how. paths: greedy N-best paths
    for a feature's word, of photos and queries alike. places: of each photo a number or name; photos of one place
    share an entry, which is told as the row of its first photo (default: each photo an entry of its own).
    informative: share of the features of each entry that are kept, those that tell most about it; of a tree fitted
    here too. norm, bursts: as for `InvertedFile`. options: `FeatureStore`'s most, resize, enlarge and folder.
    seconds: stage -> seconds spent; unreadable: path -> reason, of database and query photos.
    """

    name, dim = "vocabtree", None

    def __init__(
        self,
        photos: Sequence[str],
        tree: VocabularyTree | None = None,
        *,
        branching: int = 10,
        depth: int = 5,
        paths: int = 5,
        places=None,
        informative: float = 1.0,
        norm: str = "length",
        bursts: bool = True,
        seed: int = 0,
        workers: int | None = None,
        **options,
    ):
        self._set(paths, workers, options)
        if tree is None:
            start = time.perf_counter()
            how = {"branching": branching, "depth": depth, "informative": informative, "places": places}
            tree = fit_tree(photos, **how, paths=paths, seed=seed, workers=workers, **options)
            self.seconds["fit tree on database"] = time.perf_counter() - start
        self.tree = tree
        start = time.perf_counter()
        words = list(self._words(photos, "database"))
        self._rows, entry = numbered(photos, places)
        if informative != 1:
            words = _kept(words, entry, informative)
        self.inverted = InvertedFile.build(words, tree.words, entry=entry, norm=norm, bursts=bursts)
        self._digest = _digest(photos)
        self.seconds["describe database"] = time.perf_counter() - start

    def _set(self, paths: int, workers: int | None, options: dict) -> None:
        if paths < 1:
            raise NetvladError(f"at least 1 path must go down the tree, got {paths}")
        self.paths, self.workers, self.options = paths, workers, options
        self._store = sift_store(**options)
        self.seconds: dict[str, float] = {}
        self.unreadable: dict[str, str] = {}

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """ids (Q, k) int64 and scores (Q, k) float32, larger is better.

        -1 and -inf where no further photo has a word in common with the query: throughout for one without features
        (black, a few pixels wide) or one that cannot be read.
        """
        ids = np.full((len(photos), k), -1, np.int64)
        scores = np.full((len(photos), k), -np.inf, np.float32)
        start, searching = time.perf_counter(), 0.0
        for row, words in enumerate(self._words(photos, "queries")):
            began = time.perf_counter()
            entries, found = self.inverted.search(words, k)
            ids[row, : len(found)], scores[row, : len(found)] = self._rows[entries], found
            searching += time.perf_counter() - began
        self.seconds["describe queries"] = time.perf_counter() - start - searching
        self.seconds["search"] = searching
        return ids, scores

    def _words(self, photos: Sequence[str], which: str) -> Iterator[np.ndarray]:
        """The visual words (n,) of each photo; none of those that cannot be read."""
        waiting: list[np.ndarray] = []

        def flush() -> Iterator[np.ndarray]:
            words = self.tree.quantise(rootsift(waiting), self.paths)
            yield from np.split(words, np.cumsum([len(found) for found in waiting]))[:-1]
            waiting.clear()

        with progress(f"{self.name}: describe {which}", len(photos)) as advance:
            for row, found in sift_of(photos, self._store, workers=self.workers):
                if isinstance(found, str):
                    self.unreadable[photos[row]] = found
                    found = NO_FEATURES
                waiting.append(found)
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
        options = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in self.options.items() if k != "folder"}
        facts = {**self.inverted.facts, "paths": self.paths, "options": options, "photos": self._digest}
        return save_arrays(folder, {**tree, **inverted, "photo": self._rows}, kind=KIND, facts=facts)

    @classmethod
    def load(
        cls, folder: str | os.PathLike, photos: Sequence[str], *, workers: int | None = None, cache=None
    ) -> VocabularyTreeRanker:
        """Read what `save` wrote for the same `photos` in the same order: the ids are rows of them.

        cache: the features' folder, as for a new ranker `folder`. Raises PlaceIndexError where what is in the folder
        is missing, broken, or of other photos.
        """
        arrays, facts = read_arrays(folder, kind=KIND)
        if facts.get("photos") != _digest(photos):
            raise PlaceIndexError(f"{folder}: was made of other photos than these {len(photos)}, or in another order")
        ranker = cls.__new__(cls)
        try:
            ranker._set(facts["paths"], workers, {**facts["options"], **({"folder": cache} if cache else {})})
            ranker.tree = VocabularyTree.of(arrays)
            ranker.inverted = InvertedFile.of(arrays, facts)
            ranker._rows, ranker._digest = arrays["photo"], facts["photos"]
        except (KeyError, TypeError, ValueError, NetvladError) as e:
            raise PlaceIndexError(f"{folder}: does not hold a {KIND} ({e})") from e
        if ranker.inverted.words != ranker.tree.words or ranker._rows.shape != (ranker.inverted.size,):
            raise PlaceIndexError(f"{folder}: the tree and the inverted file in it are not of one vocabulary")
        return ranker


def _kept(words: list[np.ndarray], entry: np.ndarray, informative: float) -> list[np.ndarray]:
    """Of the words of each photo those that tell most about its entry."""
    lengths = [len(w) for w in words]
    photo = np.repeat(np.arange(len(words)), lengths)
    keep = most_informative(np.concatenate([np.empty(0, np.int32), *words]), photo, entry, informative)
    return [w[k] for w, k in zip(words, np.split(keep, np.cumsum(lengths)[:-1]), strict=True)]


def _digest(photos: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(photos).encode("utf-8", "surrogateescape")).hexdigest()
