"""Photos whose places are not known: named one by one, in folders, archives and tables, or on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from netvlad.errors import ImageError, PlacesError
from netvlad.images.archives import ARCHIVES, list_archive
from netvlad.images.read import PHOTO_SUFFIXES
from netvlad.places.io.readers import names_folder, walk_photos
from netvlad.places.io.roles import roles
from netvlad.places.io.tables import TABLE_SUFFIXES, read_table
from netvlad.places.values import texts
from netvlad.runtime.addresses import absolute, is_address, joined

STDIN = "-"


def read_queries(
    sources: Sequence[str | os.PathLike[str]], stdin: TextIO | None = None
) -> tuple[list[str], dict[str, str]]:
    """Paths of photos, in order, and folders that cannot be read with the reason.

    sources: photos; folders, with all photos in and below them; tar and zip files, with all photos in them; tables with
    a column of photos, as `read_places` knows them, whose other columns do not count; "-" for paths by line from
    `stdin` (standard input). Raises PlacesError for a folder or an archive without photos, and for an archive or a
    table that cannot be read or has no such column.
    """
    paths: list[str] = []
    closed: dict[str, str] = {}
    for given in sources:
        source = os.fspath(given)
        source = absolute(source) if is_address(source) else source
        if source == STDIN:
            paths += _lines(sys.stdin if stdin is None else stdin)
        elif source.lower().endswith(ARCHIVES) and not os.path.isdir(source):
            paths += _of_archive(source)
        elif names_folder(source):
            below, unseen = walk_photos(source)
            if not below and not unseen:
                raise PlacesError("no photos in this folder", path=source)
            paths += below
            closed |= unseen
        elif source.lower().endswith(TABLE_SUFFIXES):
            paths += _of_table(source)
        else:
            paths.append(source)
    return paths, closed


def _lines(file: Iterable[str]) -> list[str]:
    stripped = (line.rstrip("\r\n") for line in file)
    return [line for line in stripped if line]


def _of_archive(archive: str) -> list[str]:
    """The photos in a tar or zip file."""
    if is_address(archive):
        raise PlacesError("is an archive in an object store, which is not read: copy it here first", path=archive)
    try:
        names = [name for name in list_archive(archive) if name.lower().endswith(PHOTO_SUFFIXES)]
    except ImageError as e:
        raise PlacesError(e.reason, path=archive) from e
    if not names:
        raise PlacesError("no photos in this archive", path=archive)
    return [f"{archive}/{name}" for name in names]


def _of_table(table: str) -> list[str]:
    """The photos of a table; relative paths are relative to its folder."""
    raw = read_table(absolute(table))
    named = roles(list(raw.columns), raw.source)
    if "path" not in named:
        found = ", ".join([*raw.columns, *raw.unread]) or "none"
        raise PlacesError(f"has no column for the photo (path, file, image or filename): {found}", path=table)
    folder = os.path.dirname(raw.source)
    return [joined(folder, path) for path in texts(raw.columns[named["path"]]) if path]
