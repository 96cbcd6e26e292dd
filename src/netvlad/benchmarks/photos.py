"""Which photos of a list are there, found by listing folders rather than by asking for each photo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad.errors import PlacesError


def present(paths: Sequence[str]) -> np.ndarray:
    """Which of the paths (N,) name a file (or folder) that is there: bool (N,)."""
    seen: dict[str, frozenset[str]] = {}
    out = np.zeros(len(paths), bool)
    for i, path in enumerate(paths):
        folder, name = os.path.split(path)
        if folder not in seen:
            seen[folder] = frozenset(os.listdir(folder)) if os.path.isdir(folder) else frozenset()
        out[i] = name in seen[folder]
    return out


def one_of(root: Path, *relative: str) -> Path:
    """The first of several paths in `root` that is there. Errors: PlacesError naming all that were looked for."""
    for path in relative:
        if (root / path).exists():
            return root / path
    raise PlacesError(f"{root} holds {'neither ' if relative[1:] else 'no '}{' nor '.join(relative)}")


def under(root: Path, folders: Sequence[str], names: Sequence[str], which: str, suffix: str = "") -> list[str]:
    """Paths of the photos `names` in that of several folders of `root` that holds most of them.

    suffix: the photos may have this one instead of their own. which: "database" or "query", for the error.
    Errors: PlacesError when none of them is in any folder: the first that was looked for, and where.
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
