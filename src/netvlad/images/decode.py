"""Photos decoded in worker processes, ahead of whoever needs them."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netvlad.errors import ImageError
from netvlad.images.read import read_image
from netvlad.runtime.workers import pool

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
    if workers is None:
        workers = 0 if len(rows) <= FEW else min(4, os.cpu_count() or 1)
    if workers == 0:
        for chunk in chunks.values():
            yield _decode_chunk(chunk, options)
        return
    yield from _decode_ahead(list(chunks.values()), options, workers)


def _decode_ahead(chunks, options, workers) -> Iterator[list[Decoded]]:
    from loky.process_executor import TerminatedWorkerError

    executor = pool(workers)
    todo, waiting = deque(chunks), deque()
    try:
        while todo or waiting:
            try:
                while todo and len(waiting) < workers + 2:
                    waiting.append((todo[0], executor.submit(_decode_chunk, todo[0], options)))
                    todo.popleft()
                decoded = waiting[0][1].result()
                waiting.popleft()
            except TerminatedWorkerError:  # of `submit` too: whoever reads us takes long, and workers die meanwhile
                # a decoder took its process down: go on with fresh workers, but first one photo at a time
                executor.shutdown(wait=False, kill_workers=True)
                executor = pool(workers)
                todo.extendleft(chunk for chunk, _ in reversed(waiting))
                waiting.clear()
                decoded = _decode_singly(todo.popleft(), options)
            yield decoded
        executor.shutdown(wait=True)  # workers killed while they tidy up would have loky complain of leaks at the end
    finally:
        executor.shutdown(wait=False, kill_workers=True)


def _decode_chunk(chunk: list[tuple[int, str]], options: dict) -> list[Decoded]:
    return [_decode_one(row, path, options) for row, path in chunk]


def _decode_one(row: int, path: str, options: dict) -> Decoded:
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


def _decode_singly(chunk: list[tuple[int, str]], options: dict) -> list[Decoded]:
    """Photo by photo in a process of their own, so that only those that crash it are lost."""
    from loky.process_executor import TerminatedWorkerError

    decoded = []
    executor = pool(1)
    try:
        for row, path in chunk:
            try:
                decoded.append(executor.submit(_decode_one, row, path, options).result())
            except TerminatedWorkerError:
                decoded.append(Decoded(row, None, b"", "the decoder crashed on it"))
                executor.shutdown(wait=False, kill_workers=True)
                executor = pool(1)
    finally:
        executor.shutdown(wait=False, kill_workers=True)
    return decoded
