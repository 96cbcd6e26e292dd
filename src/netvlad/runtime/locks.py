"""One writer of a folder at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netvlad.errors import NetvladError


@contextmanager
def only_writer(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of `folder`, which is created if missing. The lock ends with the process, even if that is killed.

    Raises NetvladError while another process holds the lock, unless told to `wait` for it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        raise NetvladError("another process is writing to this folder; wait until it is done", path=folder) from None
    try:
        yield
    finally:
        lock.release()
