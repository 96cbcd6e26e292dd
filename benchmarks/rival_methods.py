"""The methods that rivals.py compares: what each knows of a photo, and its ranker over a database."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path

import numpy as np

import netvlad
from common import VectorRanker
from netvlad.describe.stream import describe_all
from netvlad.describe.whitening import fit_whitening
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.features.store import FeatureStore
from netvlad.places import Places
from netvlad.places.place_matches import place_matches
from netvlad.search.distinctive import distinctive_shares, distinctive_vectors
from netvlad.search.hamming import HammingEmbedding
from netvlad.search.hamming_file import HammingFile
from netvlad.search.informative import most_informative
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.rerank import Reranker, RerankOptions
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Ranking

NEGATIVE = 25.0  # metres beyond which a photo is a definite negative
FEATURES, TRAINING = 2000, 1_000_000  # of a photo at most; that a tree is fitted on at most
TIMED = 20  # photos whose local features are found anew, to time it


class Vectors(VectorRanker):
    """cost: ms for a photo's description; size: bytes of a vector."""

    def __init__(self, held: np.ndarray, asked: dict[str, np.ndarray], cost: float):
        super().__init__(held, asked)
        self.cost, self.size = cost, 4 * held.shape[1]


class Words:
    """A ranker over visual words that are there already, photo by photo: the arguments of `search` before k."""

    name, dim = "words", None

    def __init__(self, inverted, asked: dict[str, tuple], cost: float):
        self.inverted, self.asked, self.cost = inverted, asked, cost
        self.size = sum(part.nbytes for part in inverted.arrays().values()) / max(inverted.size, 1)

    def rank(self, photos, k):
        ids, scores = np.full((len(photos), k), -1), np.full((len(photos), k), -np.inf, np.float32)
        for row, path in enumerate(photos):
            found, score = self.inverted.search(*self.asked[path], k)
            ids[row, : len(found)], scores[row, : len(found)] = found, score
        return Ranking(ids, scores)


class Described:
    """Vectors of photos by a model, each described once and kept in a folder with what it cost."""

    def __init__(self, folder: Path):
        self.folder = folder

    def of(self, key: str, make, paths) -> tuple[dict[str, np.ndarray], float]:
        """path -> vector, and milliseconds of processor time a photo. make() -> the model, ready."""
        file = self.folder / f"{key}.npz"
        if not file.exists():
            model = make()
            start = time.process_time()
            vectors, bad = describe_all(model, paths, what=key, workers=0)
            assert not bad, bad
            cost = 1e3 * (time.process_time() - start) / len(paths)
            self.folder.mkdir(parents=True, exist_ok=True)
            np.savez(file, vectors=vectors, cost=cost)
        kept = np.load(file)
        return dict(zip(paths, kept["vectors"], strict=True)), float(kept["cost"])


class Local:
    """SIFT of the photos of one set, kept in a folder."""

    def __init__(self, paths, cache: Path):
        self.paths = list(paths)
        store = sift_store(most=FEATURES, folder=cache)
        self.sift = {self.paths[found.row]: found.descriptors for found in sift_of(self.paths, store, workers=0)}
        some = self.paths[:: max(1, len(self.paths) // TIMED)]
        start = time.process_time()
        list(sift_of(some, sift_store(most=FEATURES), workers=0))
        self.cost = 1e3 * (time.process_time() - start) / len(some)

    def of(self, paths) -> np.ndarray:
        return rootsift([self.sift[path] for path in paths])


class Tree:
    """A tree fitted on a database, and the words of that and of queries by so many paths; words and signatures once."""

    def __init__(self, local: Local, database: Places, queries: Places, depth: int, seed: int = 0):
        self.local, self.database, self.queries = local, database, queries
        x = local.of(database.path)
        rng = np.random.default_rng(seed)
        self.training = x[np.sort(rng.permutation(len(x))[:TRAINING])]
        self.tree = VocabularyTree.fit(self.training, depth=depth, seed=seed)

    @cached_property
    def near(self):
        return place_matches(self.database, self.database, NEGATIVE)

    def ranker(self, paths: int, *, informative: float = 1.0, distinct: bool = False, hamming: bool = False) -> Words:
        several = 3 if hamming else 1
        start = time.process_time()
        x = self.local.of(self.queries.path)
        words = self.tree.nearest(x, paths, several)
        cost = self.local.cost + 1e3 * (time.process_time() - start) / len(self.queries)
        asked = self._split(words, self.queries.path)
        held = self.local.of(self.database.path)
        own = self._split(self.tree.quantise(held, paths), self.database.path)
        signed = None
        if hamming:
            embedding = HammingEmbedding.fit(self.training, self.tree.quantise(self.training, paths), self.tree.words)
            signed = self._split(embedding.signatures(held, np.concatenate(own)[:, None])[:, 0], self.database.path)
            marks = self._split(embedding.signatures(x, words), self.queries.path)
        if informative < 1:
            own = self._informative(own, informative)
        inverted = InvertedFile.build(own, self.tree.words)
        if distinct:
            inverted.shares = distinctive_shares(inverted, self.near)
        if not hamming:
            return Words(inverted, {p: (w[:, 0],) for p, w in zip(self.queries.path, asked, strict=True)}, cost)
        inverted = HammingFile.of_words(inverted, own, signed)
        return Words(inverted, dict(zip(self.queries.path, zip(asked, marks, strict=True), strict=True)), cost)

    def _split(self, x: np.ndarray, paths) -> list[np.ndarray]:
        return np.split(x, np.cumsum([len(self.local.sift[path]) for path in paths])[:-1])

    def _informative(self, words: list, share: float) -> list:
        photo = np.repeat(np.arange(len(words)), [len(w) for w in words])
        keep = most_informative(np.concatenate(words), photo, places_of(self.database), share)
        return [w[k] for w, k in zip(words, np.split(keep, np.cumsum([len(w) for w in words])[:-1]), strict=True)]


def places_of(database: Places) -> np.ndarray:
    """Of each photo the number of its place: its label, or where there is none a cell of 10 m."""
    if (database.place != "").all():
        return np.unique(database.place.astype(str), return_inverse=True)[1]
    corner = np.floor(np.stack([database.easting, database.northing], axis=1) / 10)
    return np.unique(corner, axis=0, return_inverse=True)[1].ravel()


def network(pooling: str, database: Places):
    """ResNet-18 cropped at layer3, its centres fitted on the database."""
    model = netvlad.load(f"resnet18-{pooling}")
    return model if model.ready else netvlad.fit(model, database.path, workers=0)


def whitened(vectors: dict, database: Places, queries: Places, cost: float, root: bool = False) -> Vectors:
    """Fitted on the database alone, to the largest power of two of numbers that is at most half of its photos.

    root: numbers are divided by the fourth root of their variance in place of its square root, and the largest power of
    two below the number of photos is kept: so the least of them, which few photos tell of, are less blown up.
    """
    import torch

    held = np.stack([vectors[path] for path in database.path])
    whitening = fit_whitening(held, 1 << (len(held) - 1 if root else len(held) // 2).bit_length() - 1)
    if root:
        whitening.matrix *= whitening.matrix.norm(dim=1, keepdim=True) ** -0.5
    small = {p: whitening(torch.from_numpy(vectors[p][None])).numpy()[0] for p in queries.path}
    return Vectors(whitening(torch.from_numpy(held)).numpy(), small, cost)


def distinct(vectors: dict, database: Places, cost: float) -> Vectors:
    near = place_matches(database, database, NEGATIVE)
    return Vectors(distinctive_vectors(np.stack([vectors[path] for path in database.path]), near), vectors, cost)


def reranked(ranker, database: Places, queries: Places, cache: Path, kind: str, best: int) -> Reranker:
    """With the local features' time and room added to the ranker's; they are found before a query is timed."""
    found = Reranker(ranker, database.path, RerankOptions(best, kind), cache=cache)
    for path in (*database.path, *queries.path):
        found.verifier.features.of(path)
    some = database.path[:: max(1, len(database) // TIMED)]
    store = FeatureStore(kind)
    start = time.process_time()
    sizes = [sum(part.nbytes for part in (f.points, f.descriptors)) for f in map(store.of, some)]
    if kind == "rootsift":  # kept as bytes
        sizes = [size / 4 for size in sizes]
    found.cost = ranker.cost + 1e3 * (time.process_time() - start) / len(some)
    found.size = ranker.size + float(np.mean(sizes))
    return found
