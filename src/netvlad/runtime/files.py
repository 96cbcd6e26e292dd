"""Files that are either whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netvlad.errors import NetvladError


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, which is created if missing.

    On success the temporary file replaces `path`; on an error it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def irregular(found: os.stat_result) -> str:
    """What something is that is no regular file; empty for a regular file."""
    if stat.S_ISREG(found.st_mode):
        return ""
    return "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"


def refuse_irregular(
    path: str | os.PathLike[str], *, error: type[NetvladError] = NetvladError, most: int | None = None
) -> None:
    """Raise `error` for what is no regular file, or one of more than `most` bytes.

    A pipe or a device has no end, and one without a writer does not even open.
    """
    try:
        found = os.stat(path)
    except OSError as e:
        raise error(f"cannot be read ({e.strerror})", path=path) from e
    except ValueError as e:  # a path with a NUL
        raise error(f"cannot be read ({e})", path=path) from e
    if kind := irregular(found):
        raise error(f"cannot be read: is {kind}, and a regular file is wanted", path=path)
    if most is not None and found.st_size > most:
        sizes = f"{found.st_size / 1e6:,.1f} MB, and at most {most / 1e6:,.1f} MB are read"
        raise error(f"cannot be read: has {sizes}, as it is held in memory", path=path)


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write `data` as indented JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_sealed(path: str | os.PathLike[str], data: dict[str, Any]) -> None:
    """Write `data` as JSON with an entry "checksum", which `read_sealed` compares."""
    write_json(path, {**data, "checksum": _seal(data)})


def read_sealed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object without its "checksum". Raises OSError, or ValueError for anything but what was written.

    An object without a checksum, as earlier versions wrote it, is returned as it is.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError as e:
        raise ValueError("is nested too deep") from e
    if not isinstance(data, dict):
        raise ValueError(f"is a {type(data).__name__}, not an object")
    if "checksum" in data and data.pop("checksum") != _seal(data):
        raise ValueError("was changed: its checksum differs")
    return data


def _seal(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def flush(*paths: str | os.PathLike[str]) -> None:
    """Flush files and folders to the disk, in this order: a rename alone survives a kill but not a power cut."""
    windows = os.name == "nt"  # it flushes only files opened for writing, and opens no folders
    for path in paths:
        if windows and os.path.isdir(path):
            continue
        descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_full(error: BaseException) -> bool:
    """Whether an error, of any library, says that a disk or a quota is used up."""
    said = str(error).lower()
    return any(words in said for words in ("no space left", "quota exceeded", "not enough space on the disk"))


def sha256(file: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
    with open(file, "rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
