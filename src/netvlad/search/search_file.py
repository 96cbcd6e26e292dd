"""The search file of an index: what faiss wrote, what it was made of, and a checksum; written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Protocol

from netvlad.runtime.files import atomic
from netvlad.types import FloatArray

# A file ends in the fingerprint of its rows (16 bytes), XXH3 of all that precedes (16), and this; faiss reads none.
SEAL = b"netvlad1"
END = 40


class VectorSource(Protocol):
    """Vectors on disk, in rows that are appended to."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int: ...

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Yield blocks (n, dim) float32 from row `start` on, in order."""

    def fingerprint(self, rows: int) -> bytes:
        """16 bytes that tell the first `rows` rows apart from any others; empty if there is no telling."""

    def is_newest(self) -> bool:
        """Whether nobody has written a later version of the rows."""


def is_current(file: Path, source: VectorSource) -> bool:
    """Whether `file` says that it is a copy of all rows of `source`; its vectors are not read."""
    wanted = source.fingerprint(len(source))
    try:
        with open(file, "rb") as opened:
            opened.seek(-END, 2)
            end = opened.read()
    except OSError:
        return False
    return bool(wanted) and end[:16] == wanted and end[32:] == SEAL


def sealed_fingerprint(file: Path) -> bytes | None:
    """The fingerprint that a file was written with; None where the file is not what was written."""
    with open(file, "rb") as opened:
        size = opened.seek(0, 2)
        if size < END:
            return None
        opened.seek(-END, 2)
        end = opened.read()
    intact = end[32:] == SEAL and end[16:32] == _checksum(file, size - 24)
    return end[:16] if intact else None


def write_sealed_file(file: Path, source: VectorSource, rows: int, write: Callable[[Path], None]) -> bool:
    """Write `file` by `write(path)`, with the fingerprint of the first `rows` rows of `source`, and its checksum.

    Returns whether it was written: not while another process does, nor where the disk takes nothing, nor when a later
    version of the rows is there.
    """
    from filelock import FileLock, Timeout

    if not source.is_newest():
        return False
    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=0), atomic(file) as temporary:
            for left in file.parent.glob(f".{file.name}.*.tmp"):  # by a process that was killed
                left.unlink()
            write(temporary)
            seal(temporary, source.fingerprint(rows))
    except (Timeout, OSError, RuntimeError):  # the last is faiss's own: a read-only or full disk
        return False
    return True


def seal(file: Path, fingerprint: bytes) -> None:
    """Append a fingerprint and a checksum, which `sealed_fingerprint` reads."""
    with open(file, "ab") as opened:
        opened.write(fingerprint.ljust(16, b"\0"))
    checksum = _checksum(file)
    with open(file, "ab") as opened:
        opened.write(checksum + SEAL)


def _checksum(file: Path, size: int | None = None) -> bytes:
    """XXH3 (16 bytes) of the first `size` bytes of a file, by default all."""
    import xxhash

    with open(file, "rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data, memoryview(data) as view:
        return xxhash.xxh3_128_digest(view[:size])
