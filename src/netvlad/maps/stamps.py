"""Stamps of files, which tell without reading a photo that it is the one already described."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from netvlad.runtime.addresses import is_address, listed
from netvlad.types import Array

ABSENT = -1  # the size of a file that is not there
UNSEEN = -2  # of one that cannot be looked at, such as in a folder without permission


@dataclass(frozen=True)
class FileStamp:
    """Size in bytes and time of change of a file."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> FileStamp:
        """The stamp of the file at `path`; ABSENT or UNSEEN twice where there is none, or it cannot be seen."""
        return cls(*_stamp(path))


def stamps_of(paths: Iterable[str], n: int) -> tuple[Array, Array]:
    """Sizes and times of change (n,) int64 of the files at `paths`, as in `FileStamp.of`.

    Of files at addresses each folder is listed once: a question for every photo would take far longer.
    """
    folders: dict[str, dict[str, tuple[int, int]] | None] = {}

    def numbers() -> Iterator[int]:
        for path in paths:
            yield from _listed_stamp(path, folders) if is_address(path) else _stamp(path)

    both = np.fromiter(numbers(), np.int64, 2 * n).reshape(n, 2)
    return both[:, 0], both[:, 1]


def _listed_stamp(address: str, folders: dict[str, dict[str, tuple[int, int]] | None]) -> tuple[int, int]:
    """The stamp of a file by the listing of its folder, which is kept in `folders`; None there: it cannot be listed."""
    folder = address.rpartition("/")[0]
    if folder not in folders:
        try:
            folders[folder] = listed(folder, below=False)
        except OSError:
            folders[folder] = None
    found = folders[folder]
    return (UNSEEN, UNSEEN) if found is None else found.get(address, (ABSENT, ABSENT))


def _stamp(path: str) -> tuple[int, int]:
    if is_address(path):
        return _listed_stamp(path, {})
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character in it
        return ABSENT, ABSENT
    except OSError:
        return UNSEEN, UNSEEN
    return stat.st_size, stat.st_mtime_ns
