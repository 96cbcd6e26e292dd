"""Addresses of files in object stores, such as s3://bucket/photos/a.jpg: read, written and listed.

pyarrow opens them, and fsspec those that pyarrow does not know. Credentials, regions and endpoints are those of the
environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS), as Lance reads them.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from netvlad.errors import NetvladError, first_line

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:// is a drive
BUFFER = 1 << 16  # bytes that are read ahead


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is text such as s3://bucket/name."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None


def path_or_address(text: str) -> Path | str:
    """What somebody wrote: an address without its last slash, or a path; file:///a is the path /a."""
    if text.lower().startswith("file://"):
        from urllib.request import url2pathname  # which loads http, ssl and email

        return Path(url2pathname(text[len("file://") :]))
    return absolute(text) if is_address(text) else Path(text)


def absolute(path: str | os.PathLike[str]) -> str:
    """`path` made absolute; an address without its last slash."""
    return str(path).rstrip("/") if is_address(path) else os.path.abspath(path)


def joined(folder: str, path: str) -> str:
    """`path` below `folder`, either of which may be an address; an absolute path and an address stay as they are."""
    if is_address(path) or (is_address(folder) and path.startswith("/")):
        return path
    return f"{folder.rstrip('/')}/{path}" if is_address(folder) else os.path.join(folder, path)


def size_and_time(address: str) -> tuple[int, int] | None:
    """Bytes and time of change (nanoseconds) of a file; None where there is none. Raises OSError."""
    with _told(address):
        system, path = _opened(address)
        info = system.get_file_info(path)
    return (info.size, info.mtime_ns) if info.is_file else None


def listed(folder: str, *, below: bool = True) -> dict[str, tuple[int, int]]:
    """Address -> bytes and time of change (nanoseconds) of the files in a folder, sorted; none where it is not there.

    below: whether those of its folders are listed too. Raises OSError.
    """
    from pyarrow.fs import FileSelector

    with _told(folder):
        system, path = _opened(folder)
        found = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=below))
    start = folder[: len(folder.rstrip("/")) - len(path.rstrip("/"))]
    files = {start + info.path: (info.size, info.mtime_ns or 0) for info in found if info.is_file}
    return dict(sorted(files.items()))


def read_address(address: str, most: int) -> bytes:
    """The content of a file. Raises OSError, FileNotFoundError among them, and NetvladError beyond `most` bytes."""
    with _told(address):
        system, path = _opened(address)
        with system.open_input_file(path) as file:
            if file.size() > most:
                sizes = f"{file.size() / 1e6:,.0f} MB, the limit is {most / 1e6:,.0f} MB"
                raise NetvladError(f"has {sizes}", path=address)
            return bytes(file.read())


def write_address(address: str, data: bytes) -> None:
    """Write a file, whole or not at all. Raises OSError."""
    with _told(address):
        system, path = _opened(address)
        with system.open_output_stream(path) as file:
            file.write(data)


def remove_address(address: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing where neither is there. Raises OSError."""
    with _told(address):
        system, path = _opened(address)
        if system.get_file_info(path).is_file:
            system.delete_file(path)
        elif listed(address):
            system.delete_dir(path)


def open_address(address: str) -> BinaryIO:
    """A file, of which only what is read is fetched. Raises OSError."""
    with _told(address):
        system, path = _opened(address)
        return cast(BinaryIO, io.BufferedReader(system.open_input_file(path), BUFFER))


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Make an OSError that says why of whatever a library raises."""
    try:
        yield
    except (FileNotFoundError, NetvladError):
        raise
    except Exception as e:  # those of pyarrow, and whatever an implementation of fsspec raises
        raise OSError(errno.EIO, f"{address}: {first_line(e)}") from e


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    scheme, _, rest = address.partition("://")
    return _system(scheme.lower(), rest.partition("/")[0]), rest


@lru_cache(maxsize=16)
def _system(scheme: str, place: str) -> Any:
    """The file system of a bucket: the region of one is looked up once."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        return FileSystem.from_uri(f"{scheme}://{place}")[0]
    except pa.ArrowInvalid:
        import fsspec

        return PyFileSystem(FSSpecHandler(fsspec.filesystem(scheme)))
