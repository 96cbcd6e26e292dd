"""SIFT of many photos, computed by worker processes ahead of the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from netvlad.errors import ImageError
from netvlad.features.local_features import as_kind
from netvlad.features.store import FeatureStore
from netvlad.runtime.workers import default_workers, in_chunks
from netvlad.types import Array

NO_FEATURES = np.empty((0, 128), np.uint8)
CHUNK = 16  # photos that a process takes at a time
FEW = 16  # below this, starting processes takes longer than the work


@dataclass(frozen=True, eq=False)
class Extracted:
    """SIFT of one photo, (n, 128) uint8; where it cannot be read there is none, and a `reason`."""

    row: int
    descriptors: Array
    reason: str = ""


def sift_store(**options: Any) -> FeatureStore:
    """The store for `sift_of`. options: FeatureStore's most, resize, enlarge and folder."""
    return FeatureStore("sift", memory=0, **options)


def sift_of(photos: Sequence[str], store: FeatureStore, *, workers: int | None = None) -> Iterator[Extracted]:
    """Yield the SIFT of each of `photos` in turn.

    Descriptors stay bytes, a quarter of the memory between processes and while they wait; `rootsift` converts them.
    workers: number of processes; 0 works here. By default one for each core but at most 4, and none for few photos.
    """
    rows = list(enumerate(photos))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    workers = default_workers(len(photos), workers, FEW)
    for found in in_chunks(partial(_extract, store), chunks, workers, _crashed):
        yield from found


def rootsift(sift: Sequence[Array]) -> Array:
    """RootSIFT (n, 128) float32 of several photos together."""
    return as_kind(np.concatenate([NO_FEATURES, *sift]), "rootsift")


def _extract(store: FeatureStore, photo: tuple[int, str]) -> Extracted:
    row, path = photo
    try:
        return Extracted(row, store.of(path).descriptors.astype(np.uint8))
    except ImageError as e:
        return Extracted(row, NO_FEATURES, e.reason)
    except MemoryError:
        return Extracted(row, NO_FEATURES, "not enough memory for its features")


def _crashed(photo: tuple[int, str]) -> Extracted:
    return Extracted(photo[0], NO_FEATURES, "finding its features crashed")
