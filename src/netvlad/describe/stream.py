"""Many photos through a describer: decoded ahead in other processes, bad files set aside."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from netvlad.errors import ModelError
from netvlad.images.decode import Decoded, decode_photos
from netvlad.runtime.progress import progress
from netvlad.types import Describer, FloatArray, Saveable

LATEST = 1 << 19  # contents that are held as they came


@dataclass(frozen=True)
class Described:
    """A chunk of photos: their `rows` in the list, `vectors` (n, dim) float32, `digests` of their files.

    unreadable: row -> reason. known: row -> digest of photos that were skipped, since their content is known already.
    """

    rows: list[int]
    vectors: FloatArray
    digests: list[bytes]
    unreadable: dict[int, str] = field(default_factory=dict)
    known: dict[int, bytes] = field(default_factory=dict)


class Contents:
    """Digests of contents that are known: `held`, of 16 bytes each, in hardly more memory, and those added."""

    def __init__(self, held: Iterable[bytes] = ()) -> None:
        self._held = np.sort(np.array(held if isinstance(held, np.ndarray) else list(held), "S16"))
        self._added: set[bytes] = set()  # those that came last

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, bytes) or digest in self._added:
            return isinstance(digest, bytes)
        at = int(np.searchsorted(self._held, digest))  # numpy takes zeros off the ends of both
        return at < len(self._held) and bool(self._held[at] == digest.rstrip(b"\0"))

    def add(self, digest: bytes) -> None:
        """Know another content."""
        self._added.add(digest)
        if len(self._added) > LATEST:
            self._held = np.sort(np.concatenate([self._held, np.array(list(self._added), "S16")]))
            self._added.clear()


class Describing(Protocol):
    """What describes in the place of this machine: as `describe_photos`, by the model in a folder."""

    def __call__(
        self, model: Path, paths: Sequence[str], rows: Sequence[int], *, known: Contents | None
    ) -> Generator[Described, None, None]: ...


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
    known: Contents | None = None,
    workers: int | None = None,
) -> Generator[Described, None, None]:
    """Describe `paths` (or only `rows` of them) in order, chunk by chunk.

    known: contents to skip. Described contents are added to it, so that each occurs once.
    """
    for chunk in decode_for(describer, paths, rows=rows, workers=workers):
        good, skipped = [], dict[int, bytes]()
        for photo in chunk:
            if known is not None and photo.digest in known:
                skipped[photo.row] = photo.digest
            elif photo.image is not None:
                good.append(photo)
                if known is not None:
                    known.add(photo.digest)
        vectors = describer.describe([p.image for p in good if p.image is not None])
        unreadable = {p.row: p.reason for p in chunk if p.image is None and p.row not in skipped}
        yield Described([p.row for p in good], vectors, [p.digest for p in good], unreadable, skipped)


def describe_all(
    describer: Describer,
    paths: Sequence[str],
    *,
    what: str = "describing",
    workers: int | None = None,
    describing: Describing | None = None,
) -> tuple[FloatArray, dict[int, str]]:
    """Vectors of all `paths`, (N, dim) float32, and row -> reason of unreadable photos, whose vectors are NaN.

    describing: what describes in the place of this machine, every photo, also those of equal content. Raises
    ModelError where that needs a model that cannot be saved.
    """
    out = np.full((len(paths), describer.dim), np.nan, dtype=np.float32)
    unreadable: dict[int, str] = {}
    with ExitStack() as stack:
        if describing is None:
            chunks = describe_photos(describer, paths, workers=workers)
        elif isinstance(describer, Saveable):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()), "model")
            describer.save(folder)
            chunks = describing(folder, paths, range(len(paths)), known=None)
        else:
            raise ModelError(f"{describer.name} cannot be saved, and other machines need its files")
        stack.callback(chunks.close)
        advance = stack.enter_context(progress(what, len(paths)))
        for chunk in chunks:
            out[chunk.rows] = chunk.vectors
            unreadable |= chunk.unreadable
            advance(len(chunk.rows) + len(chunk.unreadable))
    return out, unreadable
