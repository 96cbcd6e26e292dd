"""SIFT of many photos, found in other processes ahead of the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from netvlad.errors import ImageError
from netvlad.features.local_features import as_kind
from netvlad.features.store import FeatureStore
from netvlad.runtime.workers import default_workers, in_chunks

NO_FEATURES = np.empty((0, 128), np.uint8)
CHUNK = 16  # photos that a process takes at a time
FEW = 16  # below this, starting processes takes longer than the work


def sift_store(**options) -> FeatureStore:
    """For `sift_of`; options: FeatureStore's most, resize, enlarge and folder."""
    return FeatureStore("sift", memory=0, **options)


def sift_of(
    photos: Sequence[str], store: FeatureStore, *, workers: int | None = None
) -> Iterator[tuple[int, np.ndarray | str]]:
    """Each row of `photos` in turn, with its SIFT descriptors (n, 128) uint8, or the reason why it has none.

    As bytes they travel between processes, and wait, in a quarter of the room; `rootsift` makes use of them.

    workers: processes; 0 works here. By default one for each core but at most 4, and none for a handful of photos.
    """
    rows = list(enumerate(photos))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    workers = default_workers(len(photos), workers, FEW)
    for found in in_chunks(partial(_find, store), chunks, workers, _crashed):
        yield from found


def rootsift(sift: Sequence[np.ndarray]) -> np.ndarray:
    """RootSIFT (n, 128) float32 of the features of several photos."""
    return as_kind(np.concatenate([NO_FEATURES, *sift]), "rootsift")


def _find(store: FeatureStore, photo: tuple[int, str]) -> tuple[int, np.ndarray | str]:
    row, path = photo
    try:
        return row, store.of(path).descriptors.astype(np.uint8)
    except ImageError as e:
        return row, e.reason
    except MemoryError:
        return row, "not enough memory for its features"


def _crashed(photo: tuple[int, str]) -> tuple[int, np.ndarray | str]:
    return photo[0], "finding its features crashed"
