"""Maps in an object store: the table stays there, small files are copied into a folder, where search files are made.

The folder is one of the cache, by the map's address, and has the layout of a map on the disk without its table.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TypeAlias

from netvlad.errors import PlaceIndexError, first_line
from netvlad.runtime.addresses import absolute, is_address, joined, listed, read_address, remove_address, write_address
from netvlad.runtime.download import cache_folder
from netvlad.runtime.files import atomic, write_text
from netvlad.search.trained_codes import TRAINED

Spot: TypeAlias = "Path | str"  # where a table is: a folder, or an address

MARK = ".address"  # the file of a working folder that says which map it is of
TABLE = "places.lance"
MANIFEST, CALIBRATION, MODEL = "manifest.json", "calibration.json", "model"
MOST = 1 << 34  # bytes of a file that is copied


def fetch(index: str | os.PathLike[str], *, model: bool = True) -> Path:
    """The folder of a map: of one at an address its working folder, with the small files as they are there now.

    model: whether its model is fetched. Without a map at the address the folder is empty. Raises PlaceIndexError where
    the store does not answer.
    """
    from filelock import FileLock

    if not is_address(index):
        return Path(index)
    address = absolute(index)
    folder = _working_folder(address)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".fetch.lock"):
        write_text(folder / MARK, address)
        try:
            _follow(folder, address, model)
        except OSError as e:
            raise PlaceIndexError(f"cannot be reached ({e.strerror or first_line(e)})", path=address) from e
    return folder


def address_of(folder: Path) -> str | None:
    """The address of the map whose working folder this is; None for a map on the disk."""
    try:
        return (folder / MARK).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def table_of(folder: Path) -> Spot:
    """Where the table of a map is."""
    address = address_of(folder)
    return folder / TABLE if address is None else joined(address, TABLE)


def shown(folder: Path) -> Spot:
    """The map as people know it: its address, or its folder."""
    return address_of(folder) or folder


def parent_of(table: Spot) -> Spot:
    """The map of a table."""
    return table.rpartition("/")[0] if isinstance(table, str) else table.parent


def beside(table: Spot, name: str) -> Path:
    """A file beside a table on the disk, or in the working folder of the map."""
    return _working_folder(str(parent_of(table))) / name if isinstance(table, str) else table.with_name(name)


def publish(folder: Path, *names: str) -> None:
    """Write files of a working folder to the address of its map; nothing for a map on the disk.

    names: of files, or of folders of files. Raises PlaceIndexError where the store does not take them.
    """
    address = address_of(folder)
    if address is None:
        return
    for name in names:
        whole = folder / name
        for file in sorted(whole.iterdir()) if whole.is_dir() else [whole]:
            if file.is_file():
                try:
                    write_address(joined(address, file.relative_to(folder).as_posix()), file.read_bytes())
                except OSError as e:
                    raise PlaceIndexError(f"cannot be written ({e.strerror or first_line(e)})", path=address) from e


def read_small(folder: Path, name: str) -> bytes | None:
    """A file of a map as it is there now, at its address or on the disk; None where there is none.

    Raises PlaceIndexError where it cannot be read.
    """
    address = address_of(folder)
    try:
        if address is not None:
            return _read(address, name)
        return (folder / name).read_bytes() if (folder / name).is_file() else None
    except OSError as e:
        raise PlaceIndexError(f"{name} cannot be read ({e.strerror or first_line(e)})", path=shown(folder)) from e


def remove(spot: Spot) -> None:
    """Remove a file, or a folder with all that is in it, from the disk or an address. Raises PlaceIndexError."""
    try:
        if isinstance(spot, str):
            remove_address(spot)
        elif spot.is_dir():
            shutil.rmtree(spot)
        else:
            spot.unlink(missing_ok=True)
    except OSError as e:
        raise PlaceIndexError(f"cannot be removed ({e.strerror or first_line(e)})", path=spot) from e


def strangers(folder: Path) -> bool:
    """Whether anything is at the address of a map but what an interrupted `create` leaves. Raises OSError."""
    address = address_of(folder)
    ours = (MODEL, TABLE)
    return address is not None and any(
        file[len(address) + 1 :].partition("/")[0] not in ours for file in listed(address)
    )


def bytes_of(folder: Path) -> int:
    """Bytes of all files of a map, those of its working folder included. Raises OSError."""
    here = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    address = address_of(folder)
    return here + (0 if address is None else sum(size for size, _ in listed(address).values()))


def _working_folder(address: str) -> Path:
    name = address.rpartition("/")[2].removesuffix(".vpr")
    return cache_folder() / "maps" / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _follow(folder: Path, address: str, model: bool) -> None:
    """Copy the small files, if they have changed; what was made of another map at this address goes."""
    manifest = _read(address, MANIFEST)
    if manifest is None or _identity(manifest) != _identity((folder / MANIFEST).read_bytes() if _has(folder) else b""):
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif not old.name.startswith("."):
                old.unlink()
    if manifest is None:
        return
    if model and not (folder / MODEL).is_dir():
        part = folder / f".{MODEL}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for file in listed(joined(address, MODEL), below=False):
            (part / file.rpartition("/")[2]).write_bytes(read_address(file, MOST))
        os.replace(part, folder / MODEL)
    for name in (CALIBRATION, *(() if (folder / TRAINED).exists() else (TRAINED,))):
        content = _read(address, name)
        if content is not None:
            _put(folder / name, content)
    _put(folder / MANIFEST, manifest)


def _has(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def _read(address: str, name: str) -> bytes | None:
    try:
        return read_address(joined(address, name), MOST)
    except FileNotFoundError:
        return None


def _put(file: Path, data: bytes) -> None:
    with atomic(file) as temporary:
        temporary.write_bytes(data)


def _identity(manifest: bytes) -> object:
    """The map that a manifest is of, and its model; None for what is no manifest."""
    try:
        found = json.loads(manifest)
        return found["map"], found["model"]
    except (ValueError, KeyError, TypeError):
        return None
