"""Where files of weights are on this machine: the folders of $NETVLAD_WEIGHTS, and installed packages."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path


def folders() -> list[Path]:
    """The folders of $NETVLAD_WEIGHTS, one or several as in $PATH."""
    return [Path(p).expanduser() for p in os.environ.get("NETVLAD_WEIGHTS", "").split(os.pathsep) if p]


def find_file(names: Iterable[str]) -> Path | None:
    """The file or folder of $NETVLAD_WEIGHTS with the first of `names` that is there."""
    return next((folder / name for name in names for folder in folders() if (folder / name).exists()), None)


def package_folder(module: str) -> Path | None:
    """The folder of an installed package; None where it is not installed. Nothing of it is run."""
    found = importlib.util.find_spec(module)
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None
