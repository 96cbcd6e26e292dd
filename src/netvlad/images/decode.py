"""Photos decoded in worker processes, ahead of whoever needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from netvlad.errors import ImageError
from netvlad.images.read import read_image
from netvlad.runtime.workers import default_workers, in_chunks

CHUNK = 32  # photos that travel together; also the rows a describer sees at once
FEW = 16  # below this, starting workers takes longer than decoding


@dataclass(frozen=True)
class Decoded:
    """One photo: `image` (H, W, 3 or 4) uint8, or None and the `reason`; `digest`: 16 bytes of BLAKE2b of the file."""

    row: int
    image: np.ndarray | None
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
    """Decode `paths` in order, in chunks of CHUNK, a few chunks ahead of the reader.

    rows: which of the paths to decode (default all). A chunk always holds photos of one stretch
    paths[i * CHUNK : (i + 1) * CHUNK], so what shares a chunk does not depend on what was left out before.
    workers: processes; 0 decodes here. By default one for each core but at most 4, and none for a handful of photos.
    resize, alpha: as `read_image` takes them; with alpha a photo that has undefined pixels has a fourth channel.
    A photo that cannot be read arrives with its reason instead of an image.
    """
    options = {"resize": resize, "alpha": alpha}
    rows = range(len(paths)) if rows is None else sorted(rows)
    chunks: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        chunks.setdefault(row // CHUNK, []).append((row, paths[row]))
    workers = default_workers(len(rows), workers, FEW)
    yield from in_chunks(partial(_decode_one, options), chunks.values(), workers, _crashed)


def _crashed(photo: tuple[int, str]) -> Decoded:
    return Decoded(photo[0], None, b"", "the decoder crashed on it")


def _decode_one(options: dict, photo: tuple[int, str]) -> Decoded:
    row, path = photo
    digest = b""
    try:
        with open(path, "rb") as file:
            data = file.read()
        digest = hashlib.blake2b(data, digest_size=16).digest()
        return Decoded(row, read_image(data, **options), digest)
    except ImageError as e:
        return Decoded(row, None, digest, str(e).partition(": ")[2])
    except OSError as e:
        return Decoded(row, None, digest, "no such file" if isinstance(e, FileNotFoundError) else str(e.strerror))
    except ValueError as e:  # a path that no file can have, such as one with a null character
        return Decoded(row, None, digest, f"is not a path ({e})")
    except MemoryError:
        return Decoded(row, None, digest, "not enough memory to decode it")
