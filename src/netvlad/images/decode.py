"""Decodes photos in worker processes, ahead of the reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from netvlad.errors import ImageError
from netvlad.images.opening import read_file
from netvlad.images.read import decode_image
from netvlad.runtime.limits import at_most
from netvlad.runtime.workers import default_workers, in_chunks

if TYPE_CHECKING:
    from netvlad.images.read import Pixels

CHUNK = 32  # photos that travel together; also the rows a describer sees at once
SECONDS, MEMORY = 20.0, 4 << 30  # of processor time and of bytes, for one photo in a worker process
FEW = 16  # photos that are decoded before workers have started


@dataclass(frozen=True)
class Decoded:
    """One photo of `decode_photos`.

    row: its index. image: (H, W, 3 or 4) uint8, or None with the `reason`. digest: 16 bytes of BLAKE2b of the file,
    empty if it cannot be read.
    """

    row: int
    image: Pixels | None
    digest: bytes
    reason: str = ""


def decode_photos(
    paths: Sequence[str],
    *,
    resize: int | None = None,
    rows: Sequence[int] | None = None,
    workers: int | None = None,
    alpha: bool = False,
) -> Iterator[list[Decoded]]:
    """Decode `paths` in order and yield them in chunks of CHUNK, a few chunks ahead of the reader.

    rows: indices of the paths to decode; None decodes all. A chunk holds photos of one stretch
    paths[i * CHUNK : (i + 1) * CHUNK], so which photos share a chunk does not depend on what is left out.
    workers: processes; 0 decodes here. By default one per core but at most 4, and none for a handful of photos.
    resize, alpha: as in `read_image`; with alpha, a photo that has undefined pixels has a fourth channel.
    A photo that cannot be read is yielded with a reason instead of an image, in a worker process also one that takes
    more than SECONDS of processor time or MEMORY bytes (not on Windows).
    """
    rows = range(len(paths)) if rows is None else sorted(rows)
    chunks: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        chunks.setdefault(row // CHUNK, []).append((row, paths[row]))
    workers = default_workers(len(rows), workers, FEW)
    decode = partial(_decode_one, resize, alpha)
    bounded = partial(_decode_bounded, SECONDS, MEMORY, resize, alpha)
    return in_chunks(bounded if workers else decode, chunks.values(), workers, _crashed)


def photo_digest(path: str) -> bytes:
    """The digest that `Decoded` has of a file, empty if it cannot be read; nothing is decoded."""
    try:
        return _digest(read_file(path))
    except (ImageError, OSError, ValueError, MemoryError):
        return b""


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _crashed(photo: tuple[int, str]) -> Decoded:
    return Decoded(photo[0], None, b"", f"the decoder crashed on it, or took more than {SECONDS:g} s")


def _decode_bounded(seconds: float, memory: int, resize: int | None, alpha: bool, photo: tuple[int, str]) -> Decoded:
    """Decode in a worker process, which ends when it takes more than `seconds`, and is refused more than `memory`."""
    with at_most(seconds, memory):
        return _decode_one(resize, alpha, photo)


def _decode_one(resize: int | None, alpha: bool, photo: tuple[int, str]) -> Decoded:
    row, path = photo
    digest = b""
    try:
        data = read_file(path)
        digest = _digest(data)
        return Decoded(row, decode_image(data, path, resize=resize, alpha=alpha), digest)
    except ImageError as e:
        return Decoded(row, None, digest, e.reason)
    except OSError as e:
        return Decoded(row, None, digest, "no such file" if isinstance(e, FileNotFoundError) else str(e.strerror))
    except ValueError as e:  # no file can have this path, which contains a null character for instance
        return Decoded(row, None, digest, f"is not a path ({e})")
    except MemoryError:
        return Decoded(row, None, digest, "not enough memory to decode it")
