"""Names of a map's photos in the files of other tools."""

from __future__ import annotations

import os
from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.maps.index import PlaceIndex


def photo_names(index: PlaceIndex) -> list[str]:
    """The path of each photo relative to the map's root, with slashes; absolute for one outside of it.

    Raises NetvladError for a map without photos.
    """
    paths = index.places.path.tolist()
    if not paths:
        raise NetvladError("holds no photos to export", path=index.folder)
    root = index.store.root.folder
    below = root.rstrip(os.sep) + os.sep if root else ""
    return [path.removeprefix(below).replace(os.sep, "/") if root else path for path in paths]


def refuse_existing(*files: Path) -> None:
    """Raise NetvladError where one of `files` exists: nothing of another tool is overwritten."""
    for file in files:
        if file.exists():
            raise NetvladError("exists already: remove it, or choose another place", path=file)
