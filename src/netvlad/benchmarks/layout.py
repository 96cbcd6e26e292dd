"""Files of a published layout: photos that exist, and rows of CSV tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad.errors import PlacesError
from netvlad.runtime.files import refuse_irregular
from netvlad.types import Array, BoolArray

MOST = 4 * 10**9  # bytes of a list, which is held in memory


def present(paths: Sequence[str] | Array) -> BoolArray:
    """Whether each of the paths (N,) exists: bool (N,). Lists folders, which is faster than a look at each photo."""
    seen: dict[str, frozenset[str]] = {}
    out = np.zeros(len(paths), bool)
    for i, path in enumerate(paths):
        folder, name = os.path.split(path)
        if folder not in seen:
            seen[folder] = frozenset(os.listdir(folder)) if os.path.isdir(folder) else frozenset()
        out[i] = name in seen[folder]
    return out


def one_of(root: Path, *relative: str) -> Path:
    """The first of several paths in `root` that exists. Raises PlacesError that names all of them."""
    for path in relative:
        if (root / path).exists():
            return root / path
    raise PlacesError(f"holds {'neither ' if relative[1:] else 'no '}{' nor '.join(relative)}", path=root)


def under(root: Path, folders: Sequence[str], names: Sequence[str], which: str, suffix: str = "") -> list[str]:
    """Paths of the photos `names` in the one of several folders of `root` that holds most of them.

    suffix: an alternative to that of the names. which: "database" or "query", for the error. Raises PlacesError if no
    folder holds any of the photos.
    """
    best: list[str] = []
    most = 0
    for folder in folders:
        for other in dict.fromkeys(("", suffix)):
            renamed = [os.path.splitext(name)[0] + other for name in names] if other else names
            paths = [os.path.normpath(os.path.join(root, folder, name)) for name in renamed]
            found = int(present(paths).sum())
            if found > most:
                best, most = paths, found
    if not most and len(names):
        places = " or ".join(str(root / folder) for folder in folders)
        instead = f" (or {suffix})" if suffix else ""
        raise PlacesError(
            f"none of the {len(names)} {which} photos is there: {names[0]}{instead} was looked for in {places}"
        )
    return best


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV table. Raises PlacesError if it has no rows, lacks some of `columns` or has a row cut off."""
    refuse_irregular(path, error=PlacesError, most=MOST)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise PlacesError(f"cannot be read as a CSV table: {error}", path=path) from None
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise PlacesError(f"has no columns {', '.join(missing)}" if rows else "holds no rows", path=path)
    short = next((i for i, row in enumerate(rows, 1) if any(row[name] is None for name in columns)), None)
    if short:
        raise PlacesError(f"its row {short} is cut off", path=path)
    return rows


def read_text(path: Path) -> str:
    """The text of a list. Raises PlacesError for anything but a file of UTF-8 text."""
    refuse_irregular(path, error=PlacesError, most=MOST)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlacesError(f"cannot be read as a list in UTF-8: {error}", path=path) from None


def is_number(text: str) -> bool:
    """Whether a text is a number of up to 15 digits; `str.isdigit` is true of a superscript, which `int` refuses."""
    return text.isdecimal() and len(text) <= 15
