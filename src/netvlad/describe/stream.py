"""Many photos through a describer: decoded ahead in other processes, bad files set aside."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from netvlad.images.decode import Decoded, decode_photos
from netvlad.runtime.progress import progress
from netvlad.types import Describer, FloatArray


@dataclass(frozen=True)
class Described:
    """A chunk of photos: their `rows` in the list, `vectors` (n, dim) float32, `digests` of their files.

    unreadable: row -> reason. known: rows that were skipped since their content is known already.
    """

    rows: list[int]
    vectors: FloatArray
    digests: list[bytes]
    unreadable: dict[int, str] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)


def decode_for(
    describer: Describer, paths: Sequence[str], *, rows: Sequence[int] | None = None, workers: int | None = None
) -> Iterator[list[Decoded]]:
    """`decode_photos` at the describer's size; a photo below its smallest side is unreadable."""
    alpha = describer.takes_masks
    for chunk in decode_photos(paths, resize=describer.resize, rows=rows, workers=workers, alpha=alpha):
        yield [_large_enough(photo, describer.smallest) for photo in chunk]


def _large_enough(photo: Decoded, least: int) -> Decoded:
    if photo.image is None or min(photo.image.shape[:2]) >= least:
        return photo
    height, width = photo.image.shape[:2]
    return replace(photo, image=None, reason=f"is too small ({width}x{height}; at least {least} pixels a side)")


def describe_photos(
    describer: Describer,
    paths: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    known: set[bytes] | None = None,
    workers: int | None = None,
) -> Generator[Described, None, None]:
    """Describe `paths` (or only `rows` of them) in order, chunk by chunk.

    known: digests of contents to skip. Described contents are added to it, so that each occurs once.
    """
    for chunk in decode_for(describer, paths, rows=rows, workers=workers):
        good, skipped = [], []
        for photo in chunk:
            if known is not None and photo.digest in known:
                skipped.append(photo.row)
            elif photo.image is not None:
                good.append(photo)
                if known is not None:
                    known.add(photo.digest)
        vectors = describer.describe([p.image for p in good if p.image is not None])
        unreadable = {p.row: p.reason for p in chunk if p.image is None and p.row not in skipped}
        yield Described([p.row for p in good], vectors, [p.digest for p in good], unreadable, skipped)


def describe_all(
    describer: Describer, paths: Sequence[str], *, what: str = "describing", workers: int | None = None
) -> tuple[FloatArray, dict[int, str]]:
    """Vectors of all `paths`, (N, dim) float32, and row -> reason of unreadable photos, whose vectors are NaN."""
    out = np.full((len(paths), describer.dim), np.nan, dtype=np.float32)
    unreadable: dict[int, str] = {}
    with progress(what, len(paths)) as advance:
        for chunk in describe_photos(describer, paths, workers=workers):
            out[chunk.rows] = chunk.vectors
            unreadable |= chunk.unreadable
            advance(len(chunk.rows) + len(chunk.unreadable))
    return out, unreadable
