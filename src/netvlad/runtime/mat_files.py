"""What a .mat file states of its sizes, checked against its own size before memory is given for it.

Readers of .mat files believe the file: a header of a few bytes makes them ask for any amount of memory. Versions 5 to 7
are described in MathWorks' "MAT-File Format"; 7.3 is HDF5.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from typing import BinaryIO

HDF5 = b"\x89HDF\r\n\x1a\n"  # at byte 512 of a v7.3 file; older ones are MATLAB's own format, v5
FREE = 64 * 2**20  # bytes that any file may expand to
RATIO = 50  # and so many times its own size: numbers that a network learnt hardly compress, names to a twentieth
DEEPEST = 100
_FEW = 1000  # entries that need no bytes of their own
_MATRIX, _COMPRESSED = 14, 15
_KINDS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, 16, 17, 18}  # of parts of an array; for others scipy crashes
_CELL, _STRUCT, _OBJECT, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 5, 16, 17


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a .mat file is of version 7.3. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        head = file.read(512 + len(HDF5))
    return HDF5 in (head[512:], head[: len(HDF5)])


def check_sizes(path: str | os.PathLike[str]) -> None:
    """Raise ValueError for a .mat file whose parts are larger than the whole, or expand to far more than its size.

    What else may be wrong with the file is left to its reader.
    """
    most = FREE + RATIO * os.path.getsize(path)
    if is_hdf5(path):
        _check_hdf5(path, most)
    else:
        with open(path, "rb") as file:
            _check_5(file, os.path.getsize(path), most)


def _check_hdf5(path: str | os.PathLike[str], most: int) -> None:
    import h5py

    total = 0

    def add(name: str, item: h5py.Dataset | h5py.Group) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += item.size * item.dtype.itemsize if item.size else 0
        if total > most:
            raise ValueError(f"its arrays up to {name[:100]} state {total:,} bytes, and its size explains {most:,}")

    with h5py.File(path, "r") as file:
        file.visititems(add)


def _check_5(file: BinaryIO, size: int, most: int) -> None:
    head = file.read(128)
    if len(head) < 128 or head[126:] not in (b"IM", b"MI"):
        raise ValueError("it has no header of MATLAB 5 to 7.3")
    order = "<" if head[126:] == b"IM" else ">"
    while (at := file.tell()) + 8 <= size:
        kind, n = struct.unpack(order + "II", file.read(8))
        end = at + 8 + n
        if end > size:
            raise ValueError(f"it is cut off: a part of {n:,} bytes in a file of {size:,}")
        if kind == _COMPRESSED:
            expanded = _Expanded(file, n, most)
            inner, n = _tag(expanded, order)[:2]
            if inner == _MATRIX:
                _check_matrix(expanded, order, n, 0)
            most -= expanded.at
        elif kind == _MATRIX:
            _check_matrix(_Plain(file), order, n, 0)
        file.seek(end)


class _Plain:
    """A file as a stream. at: bytes read so far."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.at = file, 0

    def read(self, n: int) -> bytes:
        found = self.file.read(n)
        if len(found) < n:
            raise ValueError("it is cut off")
        self.at += n
        return found

    def skip(self, n: int) -> None:
        self.file.seek(n, os.SEEK_CUR)
        self.at += n


class _Expanded:
    """A compressed part of a file, `n` bytes long, as a stream of at most `most` bytes."""

    def __init__(self, file: BinaryIO, n: int, most: int) -> None:
        self.file, self.left, self.most, self.at = file, n, most, 0
        self.inflate = zlib.decompressobj()
        self.held, self.used = b"", 0

    def read(self, n: int) -> bytes:
        pieces = []
        while n:
            if self.used == len(self.held):
                self._fill()
            piece = self.held[self.used : self.used + n]
            pieces.append(piece)
            n -= len(piece)
            self.used += len(piece)
            self.at += len(piece)
        return b"".join(pieces)

    def skip(self, n: int) -> None:
        while n:
            n -= len(self.read(min(n, 1 << 16)))

    def _fill(self) -> None:
        if self.at > self.most:
            raise ValueError(f"it expands to more than {self.most:,} bytes, which its size does not explain")
        self.held, self.used = b"", 0
        while not self.held:
            packed = self.inflate.unconsumed_tail or self.file.read(min(self.left, 1 << 16))
            if not packed:
                raise ValueError("a compressed part is cut off")
            if not self.inflate.unconsumed_tail:
                self.left -= len(packed)
            self.held = self.inflate.decompress(packed, 1 << 16)


def _tag(stream: _Plain | _Expanded, order: str) -> tuple[int, int, bytes | None]:
    """Kind and size of an element, and its data where they stand in the tag itself."""
    tag = stream.read(8)
    first, size = struct.unpack(order + "II", tag)
    if first >> 16:  # four bytes or less
        return first & 0xFFFF, min(first >> 16, 4), tag[4 : 4 + (first >> 16)]
    return first, size, None


def _check_matrix(stream: _Plain | _Expanded, order: str, size: int, depth: int) -> None:
    """Check one array of `size` bytes, and those in it; the stream stands behind its tag and is left behind it."""
    if depth > DEEPEST:
        raise ValueError(f"its cells are nested more than {DEEPEST} times")
    end = stream.at + size
    header: list[tuple[int, bytes]] = []  # sizes and data of the elements that are no arrays themselves
    inner, expected = 0, -1
    while stream.at + 8 <= end:
        element, n, data = _tag(stream, order)
        if element not in _KINDS or (data is None and n > end - stream.at):
            raise ValueError(f"a part of kind {element} and {n:,} bytes in an array of {size:,}")
        if element == _MATRIX:
            expected = _expected(header, order, size) if expected < 0 else expected
            inner += 1
            _check_matrix(stream, order, n, depth + 1)
            continue
        if data is None:
            data = stream.read(min(n, 256))
            stream.skip(min(n - len(data) + -n % 8, end - stream.at))
        header.append((n, data))
        expected = -1
    if size and (stream.at != end or inner != (_expected(header, order, size) if expected < 0 else expected)):
        raise ValueError(f"the parts of an array of {size:,} bytes are not those that it states")


def _expected(header: list[tuple[int, bytes]], order: str, size: int) -> int:
    """How many arrays are in one.

    Raises ValueError where it states more entries than its bytes can hold, or has not the parts of its kind: scipy
    reads on behind them, and crashes.
    """
    wrong = ValueError(f"an array of {size:,} bytes has not the parts of its kind")
    if len(header) < 3 or header[0][0] != 8:
        raise wrong
    flags = struct.unpack(order + "I", header[0][1][:4])[0]
    kind = flags & 0xFF
    parts = {_CELL: 3, _STRUCT: 5, _OBJECT: 6, _SPARSE: 6, _FUNCTION: 3, _OPAQUE: 4}.get(kind, 4)
    if kind not in range(1, 18) or len(header) != parts + (kind >= _SPARSE and kind < _FUNCTION and flags >> 11 & 1):
        raise wrong
    if kind in (_FUNCTION, _OPAQUE):
        return 1
    stated = header[1][1]
    if len(stated) % 4 or not 2 <= len(stated) // 4 <= 32:
        raise wrong
    shape = struct.unpack(f"{order}{len(stated) // 4}i", stated)
    n, entries = math.prod(shape), math.prod(shape)
    if kind in (_STRUCT, _OBJECT):  # the length of a name, then all names
        length = struct.unpack(order + "i", header[parts - 2][1][:4].ljust(4, b"\0"))[0]
        if length <= 0:
            raise wrong
        entries *= header[parts - 1][0] // length
    each = 8 if kind in (_CELL, _STRUCT, _OBJECT) else 1  # an array needs a tag
    if min(shape) < 0 or (kind != _SPARSE and max(n, entries) > _FEW and max(n, entries) * each > size):
        raise ValueError(f"an array of {' x '.join(map(str, shape))} entries in {size:,} bytes")
    return entries if each == 8 else 0
