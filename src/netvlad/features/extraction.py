"""SIFT of many photos, found in other processes ahead of the reader."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from netvlad.errors import ImageError
from netvlad.features.local_features import as_kind
from netvlad.features.store import FeatureStore
from netvlad.runtime.workers import in_order, pool

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
    from loky.process_executor import TerminatedWorkerError

    if workers is None:
        workers = 0 if len(photos) <= FEW else min(4, os.cpu_count() or 1)
    rows = list(enumerate(photos))
    todo = deque(rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
    find = partial(_find, store, workers > 0)
    while todo:
        try:
            for found in in_order(find, list(todo), workers):
                todo.popleft()
                yield from found
        except TerminatedWorkerError:  # a photo took its process down: that one alone is lost
            yield from _singly(find, todo.popleft())


def rootsift(sift: Sequence[np.ndarray]) -> np.ndarray:
    """RootSIFT (n, 128) float32 of the features of several photos."""
    return as_kind(np.concatenate([NO_FEATURES, *sift]), "rootsift")


def _find(store: FeatureStore, alone: bool, chunk: list[tuple[int, str]]) -> list[tuple[int, np.ndarray | str]]:
    if alone:
        import cv2

        cv2.setNumThreads(1)  # the other cores have processes of their own
    return [(row, _of(store, path)) for row, path in chunk]


def _of(store: FeatureStore, path: str) -> np.ndarray | str:
    try:
        return store.of(path).descriptors.astype(np.uint8)
    except ImageError as e:
        return str(e).removeprefix(f"{path}: ")
    except MemoryError:
        return "not enough memory for its features"


def _singly(find, chunk: list[tuple[int, str]]) -> Iterator[tuple[int, np.ndarray | str]]:
    from loky.process_executor import TerminatedWorkerError

    executor = pool(1)
    try:
        for row, path in chunk:
            try:
                yield from executor.submit(find, [(row, path)]).result()
            except TerminatedWorkerError:
                yield row, "finding its features crashed"
                executor.shutdown(wait=False, kill_workers=True)
                executor = pool(1)
    finally:
        executor.shutdown(wait=False, kill_workers=True)
