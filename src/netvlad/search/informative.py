"""Informative features: what a visual word says about a place (Schindler, Brown and Szeliski 2007, section 4)."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netvlad.errors import NetvladError
from netvlad.types import Array, BoolArray

FloatArray64: TypeAlias = NDArray[np.float64]


def information_gain(at: Array, elsewhere: Array, photos_at: Array, photos: int) -> FloatArray64:
    """I(place; word) = H(place) - H(place | word) in bits, of arrays that broadcast.

    at (a): photos of the place that have the word; elsewhere (b): other photos that have it; photos_at (N_L): photos
    of the place; photos (N): all. The unknown is whether a photo, drawn at random, is of the place. With
    h(x, n) = -(x / N) log2(x / n), what the x of n photos give to the entropy,
    H(place | word) = h(a, a + b) + h(b, a + b) + h(N_L - a, N - a - b) + h(N - N_L - b, N - a - b).
    """
    a, b, here = (np.asarray(x, np.float64) for x in (at, elsewhere, photos_at))
    having, lacking = a + b, photos - a - b
    given = _part(a, having) + _part(b, having) + _part(here - a, lacking) + _part(photos - here - b, lacking)
    prior = _part(here, photos) + _part(photos - here, photos)
    gain: FloatArray64 = np.maximum(prior - given, 0) / photos
    return gain


def _part(x: Array, n: Array | int) -> FloatArray64:
    """-x log2(x / n), 0 where x is 0."""
    x, n = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(n, np.float64))
    ratio = np.divide(x, n, out=np.ones(x.shape), where=x > 0)
    part: FloatArray64 = -x * np.log2(ratio)
    return part


def gains(words: Array, photo: Array, place: Array) -> FloatArray64:
    """Information gain (n,) in bits of each feature's word about the place of its photo.

    words: (n,) of the features. photo: (n,) photos they are in. place: (P,) places of the photos, numbers from 0.
    The gain is negative where the word is rarer at the place than elsewhere: such a feature is evidence against the
    place, a case that the paper does not mention.
    """
    words, photo, place = (np.asarray(x, np.int64) for x in (words, photo, place))
    if words.shape != photo.shape or words.ndim != 1:
        raise NetvladError(f"a photo for each word is wanted, got {words.shape} words and {photo.shape} photos")
    if not len(words):
        return np.empty(0)
    if photo.min() < 0 or photo.max() >= len(place):
        raise NetvladError(f"photos 0 to {len(place) - 1} have a place, got {photo.min()} to {photo.max()}")
    width = int(words.max()) + 1
    # photos are counted, not features: a word that repeats within a photo adds no information
    word_of, photo_of = np.divmod(np.unique(words * len(place) + photo), len(place))
    having = np.bincount(word_of, minlength=width)
    pairs, at = np.unique(place[photo_of] * width + word_of, return_counts=True)
    pair = np.searchsorted(pairs, place[photo] * width + words)
    here = np.bincount(place)[place[photo]]
    a, b = at[pair], having[words] - at[pair]
    gain = information_gain(a, b, here, len(place))
    return np.where(a * (len(place) - here) >= b * here, gain, -gain)


def most_informative(words: Array, photo: Array, place: Array, fraction: float) -> BoolArray:
    """Whether each feature (n,) is among the `fraction` of its place's features with the highest gain.

    Arguments as for `gains`. The number of a place's features is rounded up, so that it keeps one at least; of equal
    gains the first are kept. Raises NetvladError for a fraction outside 0..1.
    """
    if not 0 < fraction <= 1:
        raise NetvladError(f"a fraction of the features above 0, at most 1, is wanted, got {fraction}")
    gain = gains(words, photo, place)
    if not len(gain):
        return np.empty(0, bool)
    of = np.asarray(place)[photo]
    order = np.lexsort((-gain, of))
    sizes = np.bincount(of)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = np.array([math.ceil(round(fraction * n, 6)) for n in sizes])
    keep = np.empty(len(of), bool)
    keep[order] = rank < share[of[order]]
    return keep
