"""The vocabulary tree: hierarchical k-means over local features, and visual words by greedy N-best paths.

Nister and Stewenius (CVPR 2006) for the tree, Schindler, Brown and Szeliski (CVPR 2007, section 3) for the paths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.registry import register_artifact
from netvlad.runtime.artifacts import read_artifact, write_versioned
from netvlad.types import Array, FloatArray

KIND = "vocabulary tree"
ITERATIONS = 20  # of k-means; a node's centres hardly move after
BLOCK = 1 << 16  # descriptors that go down the tree at a time


@register_artifact(KIND)
class VocabularyTree:
    """A tree of cluster centres whose leaves are the visual words, numbered from 0.

    levels: from the top, the centres (n, D) float32 of each level's nodes and their parents (n,), rows of the level
    above in rising order (0 on the top level). Every node but a leaf has a child, and all leaves are on the last
    level. `fit` makes one. Raises NetvladError for levels that are no such tree.
    """

    def __init__(self, levels: Sequence[tuple[Array, Array]]) -> None:
        self.levels = [(_floats(centres), np.ascontiguousarray(parents, np.int64)) for centres, parents in levels]
        _check(self.levels)
        above = [1, *(len(centres) for centres, _ in self.levels[:-1])]  # the root is one node
        self._expand = [_children(*level, nodes) for level, nodes in zip(self.levels, above, strict=True)]

    @property
    def dim(self) -> int:
        """Length of a descriptor."""
        return int(self.levels[0][0].shape[1])

    @property
    def words(self) -> int:
        """Number of visual words: at most branching ** depth, fewer where descriptors were few or equal."""
        return len(self.levels[-1][0])

    def quantise(self, descriptors: Array, paths: int = 1) -> Array:
        """Visual words (n,) int32 of `descriptors` (n, dim), by greedy N-best paths (Schindler et al. 2007, section 3).

        At each level the `paths` nearest nodes by L2 are kept and their children compared, which takes k + k N (L - 1)
        distances for a branching of k and a depth of L. 1 is the classic descent; with as many paths as the widest
        inner level has nodes the word is the nearest of all. The word of a descriptor does not depend on the others.
        Raises NetvladError for descriptors of another shape.
        """
        return self.nearest(descriptors, paths, 1)[:, 0]

    def nearest(self, descriptors: Array, paths: int, words: int) -> Array:
        """The `words` nearest visual words that N-best paths meet, (n, words) int32, nearest first; -1 beyond the last.

        `quantise` returns the first. A descriptor that lies between words is found under each.
        """
        descriptors = _floats(descriptors)
        if descriptors.ndim != 2 or descriptors.shape[1] != self.dim:
            raise NetvladError(f"descriptors (n, {self.dim}) are wanted, got {descriptors.shape}")
        if paths < 1 or words < 1:
            raise NetvladError(f"at least 1 path must go down the tree to at least 1 word, got {paths} and {words}")
        _check_finite(descriptors)
        found = np.full((len(descriptors), words), -1, np.int32)
        for start in range(0, len(descriptors), BLOCK):
            block = self._descend(descriptors[start : start + BLOCK], paths, words)
            found[start : start + BLOCK, : block.shape[1]] = block
        return found

    def _descend(self, x: Array, paths: int, words: int) -> Array:
        nodes = np.zeros((len(x), 1), np.int64)
        for level, expand in enumerate(self._expand):
            last = level == len(self._expand) - 1
            expand.nprobe = nodes.shape[1]
            # faiss misreads the rows of `nodes` when they are wider than the level; it skips -1, for no child
            kept = min(words if last else paths, expand.ntotal)
            _, nodes = expand.search_preassigned(x, kept, nodes, np.zeros(nodes.shape, np.float32))
        return nodes

    @classmethod
    def fit(cls, descriptors: Array, *, branching: int = 10, depth: int = 5, seed: int = 0) -> VocabularyTree:
        """Cluster `descriptors` (n, D) into `branching` nodes, and each node's share again, `depth` levels down.

        A node with fewer descriptors, or fewer distinct ones, has fewer children, at least one; of n descriptors
        there are at most n words. The same descriptors and seed give the same tree.
        Raises NetvladError without descriptors, for numbers that are not finite, or a tree of less than 2 by 1.
        """
        x = _floats(descriptors)
        if x.ndim != 2 or not x.size:
            raise NetvladError(f"a vocabulary tree is fitted on local descriptors (n, D), got {x.shape}")
        if branching < 2 or depth < 1:
            raise NetvladError(f"a tree branches into at least 2 and is at least 1 deep, got {branching} and {depth}")
        _check_finite(x)
        levels: list[tuple[Array, Array]] = []
        shares: list[Array] = [np.arange(len(x))]
        for level in range(depth):
            centres: list[Array] = []
            parents: list[int] = []
            below: list[Array] = []
            for node, share in enumerate(shares):
                found, nearest = _split(x[share], branching, [seed, level, node])
                by_child = np.split(share[np.argsort(nearest, kind="stable")], np.cumsum(np.bincount(nearest))[:-1])
                centres.append(found)
                parents += [node] * len(found)
                below += by_child
            levels.append((np.concatenate(centres), np.array(parents)))
            shares = below
        return cls(levels)

    # -- on disk ------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Arrays that `of` rebuilds it from."""
        parts: dict[str, Array] = {}
        for level, (centres, parents) in enumerate(self.levels):
            parts |= {f"centres{level}": centres, f"parents{level}": parents.astype(np.int32)}
        return parts

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> VocabularyTree:
        """Rebuild it from `arrays`, which may hold more. Raises NetvladError or KeyError where they do not fit."""
        depth = sum(name.startswith("centres") for name in arrays)
        return cls([(arrays[f"centres{level}"], arrays[f"parents{level}"]) for level in range(depth)])

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write card.json and the centres, whole or not at all; a tree that is there already is replaced.

        Raises PlaceIndexError for a folder that holds something else.
        """
        facts = {"words": self.words, "depth": len(self.levels)}
        return write_versioned(folder, self.arrays(), kind=KIND, facts=facts, error=PlaceIndexError)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> VocabularyTree:
        """Read what `save` wrote. Raises PlaceIndexError where it is missing, broken or something else."""
        arrays, _ = read_artifact(folder, kind=KIND, error=PlaceIndexError)
        try:
            return cls.of(arrays)
        except (KeyError, NetvladError) as e:
            raise PlaceIndexError(f"does not hold a {KIND} ({e})", path=folder) from e


def _split(x: Array, branching: int, seed: list[int]) -> tuple[Array, Array]:
    """Centres (c, D), at most `branching`, and the nearest (n,) of each row of x (n, D); each centre has a row."""
    import faiss

    from netvlad.describe.vlad import kmeans

    centres = x
    if len(x) > branching:
        number = int(np.random.default_rng(seed).integers(2**31))
        centres = kmeans(x, branching, iterations=ITERATIONS, seed=number)
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(np.ascontiguousarray(centres))
    nearest = index.search(x, 1)[1][:, 0]
    used, nearest = np.unique(nearest, return_inverse=True)
    return centres[used], nearest


def _children(centres: Array, parents: Array, above: int) -> Any:
    """The children of each node as a faiss inverted list, so that one call expands nodes of many descriptors."""
    import faiss

    # the coarse quantiser is never used: the lists to search are known
    lists = faiss.IndexIVFFlat(faiss.IndexFlatL2(centres.shape[1]), centres.shape[1], above, faiss.METRIC_L2)
    lists.is_trained = True
    rows = np.arange(len(centres), dtype=np.int64)
    lists.add_core(len(centres), faiss.swig_ptr(centres), faiss.swig_ptr(rows), faiss.swig_ptr(parents))
    return lists


def _floats(x: Array) -> FloatArray:
    return np.ascontiguousarray(x, dtype=np.float32)


def _check_finite(x: Array) -> None:
    if not np.isfinite(x).all():
        row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise NetvladError(f"descriptor {row} holds a number that is infinite or NaN")


def _check(levels: Sequence[tuple[Array, Array]]) -> None:
    above, dim = 1, None
    for i, (centres, parents) in enumerate(levels):
        dim = dim or centres.shape[-1]
        if centres.ndim != 2 or centres.shape[1] != dim or parents.shape != centres.shape[:1]:
            raise NetvladError(f"level {i} has centres {centres.shape} and parents {parents.shape}")
        _check_finite(centres)
        if (np.diff(parents) < 0).any() or not np.array_equal(np.unique(parents), np.arange(above)):
            raise NetvladError(f"the parents of level {i} are not each of the {above} nodes above, in rising order")
        above = len(centres)
    if not levels:
        raise NetvladError("a vocabulary tree has at least 1 level")
