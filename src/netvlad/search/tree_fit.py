"""Fitting a vocabulary tree on photos, on all of their features or on the informative ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from netvlad.errors import NetvladError
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.runtime.progress import progress
from netvlad.search.informative import most_informative
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Array, FloatArray, IntArray

PHOTOS, FEATURES = 2000, 1_000_000  # that a tree is fitted on at most, at random


class Drawn(NamedTuple):
    """RootSIFT descriptors `x` (n, 128) float32 of photos. rows: (p,) rows of the photos in the list they were drawn
    from. photo: (n,) number of each descriptor's photo, 0 to p - 1."""

    x: FloatArray
    photo: IntArray
    rows: IntArray


def draw_features(photos: Sequence[str], *, seed: int = 0, workers: int | None = None, **options: Any) -> Drawn:
    """Find RootSIFT features of `photos`: at most 1,000,000 of at most 2,000 photos, drawn by `seed`.

    options: `FeatureStore`'s most, resize, enlarge and folder. Photos that cannot be read are left out.
    Raises NetvladError where no feature is found.
    """
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(len(photos))[:PHOTOS])
    each = FEATURES // max(len(drawn), 1)
    store, blocks = sift_store(**options), []
    with progress("vocabulary tree: features", len(drawn)) as advance:
        for found in sift_of([photos[i] for i in drawn], store, workers=workers):
            x = found.descriptors
            blocks.append(x[np.sort(rng.permutation(len(x))[:each])])
            advance(1)
    if not sum(map(len, blocks)):
        raise NetvladError(f"no local feature was found in any of {len(drawn)} photos: there is nothing to cluster")
    return Drawn(rootsift(blocks), np.repeat(np.arange(len(drawn)), [len(block) for block in blocks]), drawn)


def fit_tree(
    photos: Sequence[str],
    *,
    branching: int = 10,
    depth: int = 5,
    informative: float = 1.0,
    places: Sequence[Any] | Array | None = None,
    paths: int = 5,
    seed: int = 0,
    drawn: Drawn | None = None,
    **options: Any,
) -> VocabularyTree:
    """Fit a vocabulary tree on features of `photos`: those of `draw_features`, or `drawn` ones.

    informative: below 1, the tree is fitted once more on this share of each place's features, those whose words in
    the first tree, found by so many `paths`, say most about the place (`most_informative`). places: number or name of
    the place of each photo (default: each its own). options, errors: as for `draw_features`.
    """
    drawn = drawn or draw_features(photos, seed=seed, **options)
    tree = VocabularyTree.fit(drawn.x, branching=branching, depth=depth, seed=seed)
    if informative == 1:
        return tree
    place = numbered(photos, places)[1][drawn.rows]
    kept = most_informative(tree.quantise(drawn.x, paths), drawn.photo, place, informative)
    return VocabularyTree.fit(drawn.x[kept], branching=branching, depth=depth, seed=seed)


def numbered(photos: Sequence[str], places: Sequence[Any] | Array | None) -> tuple[IntArray, IntArray]:
    """First photo of each place (M,) and the place of each photo (N,); places are in the order of the photos."""
    if places is None:
        return np.arange(len(photos)), np.arange(len(photos))
    if len(places) != len(photos):
        raise NetvladError(f"a place for each of {len(photos)} photos is wanted, got {len(places)}")
    _, first, place = np.unique(np.asarray(places), return_index=True, return_inverse=True)
    return np.sort(first), np.argsort(np.argsort(first))[place]
