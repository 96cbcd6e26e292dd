"""Where results go: checked while the command line is read, before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.runtime.addresses import is_address


def out_folder(path: Path | None) -> Path | None:
    """`path`, if a folder is there or can be made. Raises NetvladError otherwise."""
    if path is not None:
        _check(path)
        if path.exists() and not path.is_dir():
            raise NetvladError("is a file, and a folder is wanted: choose another name", path=path)
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise NetvladError("is a folder without permission to write", path=path)
    return path


def out_index(place: str | None) -> str | None:
    """`place`, if it is an address, or as `out_folder` for a folder."""
    if place is not None and not is_address(place):
        out_folder(Path(place))
    return place


def out_file(path: Path | None) -> Path | None:
    """`path`, if a file can be written there. Raises NetvladError otherwise."""
    if path is not None:
        _check(path)
        if path.is_dir():
            raise NetvladError("is a folder, and a file is wanted: add a name", path=path)
    return path


def out_table(path: Path | None) -> Path | None:
    """As `out_file` for a name with a suffix, as `out_folder` for others."""
    return out_file(path) if path is not None and path.suffix else out_folder(path)


def _check(path: Path) -> None:
    """Raise NetvladError for a name that the system or a text cannot hold, and a parent that takes no files."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise NetvladError("has bytes that are no text (UTF-8), which tables and JSON cannot hold", path=path) from None
    path = path.absolute()
    try:
        # files are written beside their place, under a longer name
        os.lstat(path.with_name(f".{path.name}.{os.getpid()}.tmp") if path.name else path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as e:
        raise NetvladError(f"cannot be written ({e.strerror})", path=path) from e
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir():
        raise NetvladError(f"cannot be written: {parent} is a file, not a folder", path=path)
    if not os.access(parent, os.W_OK | os.X_OK) and not path.exists():
        raise NetvladError(f"cannot be written: the folder {parent} does not permit it", path=path)
