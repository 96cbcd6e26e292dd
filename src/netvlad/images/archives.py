"""Photos in tar and zip files, which are read where they are: `photos.tar/walk/a.jpg` names one."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
import zlib
from functools import lru_cache
from typing import NamedTuple

from netvlad.errors import ImageError, first_line
from netvlad.runtime.files import irregular

ARCHIVES = (".tar", ".zip")
_INSIDE = re.compile(r"\.(?:tar|zip)(?=[/\\].)", re.IGNORECASE)
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class _Member(NamedTuple):
    """A file as its archive lists it: bytes, and where they begin in a tar file."""

    size: int
    offset: int = 0


def split_archive(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """The archive and the name in it of a path such as photos.tar/walk/a.jpg; None for what is no such path."""
    text = os.fspath(path)
    for found in _INSIDE.finditer(text):
        if os.path.isfile(text[: found.end()]):  # a folder may be called photos.tar
            return text[: found.end()], text[found.end() + 1 :].replace("\\", "/")
    return None


def list_archive(archive: str | os.PathLike[str]) -> list[str]:
    """Names of the regular files in a tar or zip file, sorted; hidden ones are left out.

    Raises ImageError for an archive that cannot be read, a compressed tar among them.
    """
    names = _read(os.fspath(archive))[0]
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def read_member(archive: str, name: str, most: int) -> bytes:
    """The content of a file in an archive. Raises ImageError above `most` bytes, and for one that cannot be read."""
    path = f"{archive}/{name}"
    members, packed = _read(archive)
    if name not in members:
        raise ImageError("no such file in this archive", path=path)
    size, offset = members[name]
    if size > most:
        raise ImageError(f"has {size / 1e6:,.0f} MB, the limit is {most / 1e6:,.0f} MB", path=path)
    try:
        if packed:
            with packed.open(name) as file:
                data = file.read(size)
        else:
            with open(archive, "rb") as whole:
                whole.seek(offset)
                data = whole.read(size)
    except _BROKEN as e:
        raise ImageError(f"cannot be read in its archive ({first_line(e)})", path=path) from e
    if len(data) != size:
        raise ImageError("is cut short in its archive", path=path)
    return data


def _read(archive: str) -> tuple[dict[str, _Member], zipfile.ZipFile | None]:
    try:
        found = os.stat(archive)
        if kind := irregular(found):
            raise ImageError(f"is {kind}, not an archive", path=archive)
        return _listed(archive, found.st_mtime_ns, found.st_size)
    except OSError as e:
        raise ImageError(f"cannot be opened ({e.strerror})", path=archive) from e
    except _BROKEN as e:
        hint = "" if _is_zip(archive) else "; compressed ones have to be unpacked"
        raise ImageError(f"cannot be read as an archive ({first_line(e)}{hint})", path=archive) from e


@lru_cache(maxsize=4)
def _listed(archive: str, time: int, size: int) -> tuple[dict[str, _Member], zipfile.ZipFile | None]:
    """Name -> member, and the zip file; read once in a process while `time` and `size` of the file stay the same."""
    if _is_zip(archive):
        packed = zipfile.ZipFile(archive)
        return {info.filename: _Member(info.file_size) for info in packed.infolist() if not info.is_dir()}, packed
    with tarfile.open(archive, "r:") as whole:
        regular = (info for info in whole if info.isreg() and not info.issparse())
        return {info.name.removeprefix("./"): _Member(info.size, info.offset_data) for info in regular}, None


def _is_zip(archive: str) -> bool:
    return archive.lower().endswith(".zip")
