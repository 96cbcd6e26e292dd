"""Photos decoded in worker processes, ahead of whoever needs them."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netvlad.errors import ImageError
from netvlad.images import read_image

CHUNK = 32  # photos that travel together; also the rows a describer sees at once
FEW = 16  # below this, starting workers takes longer than decoding


@dataclass(frozen=True)
class Decoded:
    """One photo: `image` (H, W, 3) uint8, or None and the `reason`; `digest`: 16 bytes of BLAKE2b of the file."""

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
) -> Iterator[list[Decoded]]:
    """Decode `paths` in order, in chunks of CHUNK, a few chunks ahead of the reader.

    rows: which of the paths to decode (default all). A chunk always holds photos of one stretch
    paths[i * CHUNK : (i + 1) * CHUNK], so what shares a chunk does not depend on what was left out before.
    workers: processes; 0 decodes here. By default one for each core but at most 4, and none for a handful of photos.
    A photo that cannot be read arrives with its reason instead of an image.
    """
    rows = range(len(paths)) if rows is None else sorted(rows)
    chunks: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        chunks.setdefault(row // CHUNK, []).append((row, paths[row]))
    if workers is None:
        workers = 0 if len(rows) <= FEW else min(4, os.cpu_count() or 1)
    if workers == 0:
        for chunk in chunks.values():
            yield _decode_chunk(chunk, resize)
        return
    yield from _decode_ahead(list(chunks.values()), resize, workers)


def _decode_ahead(chunks, resize, workers) -> Iterator[list[Decoded]]:
    from loky.process_executor import TerminatedWorkerError

    executor = _pool(workers)
    todo, waiting = deque(chunks), deque()
    try:
        while todo or waiting:
            try:
                while todo and len(waiting) < workers + 2:
                    waiting.append((todo[0], executor.submit(_decode_chunk, todo[0], resize)))
                    todo.popleft()
                decoded = waiting[0][1].result()
                waiting.popleft()
            except TerminatedWorkerError:  # of `submit` too: whoever reads us takes long, and workers die meanwhile
                # a decoder took its process down: go on with fresh workers, but first one photo at a time
                executor.shutdown(wait=False, kill_workers=True)
                executor = _pool(workers)
                todo.extendleft(chunk for chunk, _ in reversed(waiting))
                waiting.clear()
                decoded = _decode_singly(todo.popleft(), resize)
            yield decoded
    finally:
        executor.shutdown(wait=False, kill_workers=True)


def _decode_chunk(chunk: list[tuple[int, str]], resize: int | None) -> list[Decoded]:
    return [_decode_one(row, path, resize) for row, path in chunk]


def _decode_one(row: int, path: str, resize: int | None) -> Decoded:
    digest = b""
    try:
        with open(path, "rb") as file:
            data = file.read()
        digest = hashlib.blake2b(data, digest_size=16).digest()
        return Decoded(row, read_image(data, resize=resize), digest)
    except ImageError as e:
        return Decoded(row, None, digest, str(e).partition(": ")[2])
    except OSError as e:
        return Decoded(row, None, digest, "no such file" if isinstance(e, FileNotFoundError) else str(e.strerror))
    except ValueError as e:  # a path that no file can have, such as one with a null character
        return Decoded(row, None, digest, f"is not a path ({e})")
    except MemoryError:
        return Decoded(row, None, digest, "not enough memory to decode it")


def _decode_singly(chunk: list[tuple[int, str]], resize: int | None) -> list[Decoded]:
    """Photo by photo in a process of their own, so that only those that crash it are lost."""
    from loky.process_executor import TerminatedWorkerError

    decoded = []
    executor = _pool(1)
    try:
        for row, path in chunk:
            try:
                decoded.append(executor.submit(_decode_one, row, path, resize).result())
            except TerminatedWorkerError:
                decoded.append(Decoded(row, None, b"", "the decoder crashed on it"))
                executor.shutdown(wait=False, kill_workers=True)
                executor = _pool(1)
    finally:
        executor.shutdown(wait=False, kill_workers=True)
    return decoded


def _pool(workers: int):
    # loky: workers that need no `if __name__ == "__main__"` in the caller's script, do not fork a process full of
    # threads, and whose death by a bad file is noticed
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, timeout=60, initializer=_quietly, initargs=(os.getpid(),))


def _quietly(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    if hasattr(os, "nice"):
        os.nice(10)  # decode in the gaps that the network leaves: on few cores its threads wait for each other
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when the main process was killed and could not tell it to."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
