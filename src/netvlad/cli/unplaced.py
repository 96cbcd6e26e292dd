"""Folders of photos of which some have no place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.errors import NetvladError, PlacesError
from netvlad.runtime.counted import counted

if TYPE_CHECKING:
    from netvlad.places import Places


def read_all_photos(folder: Path, left_out: dict[str, str], **how: Any) -> Places:
    """All photos of a folder: with their places where these are known, and without where not.

    left_out: receives folders and rows that cannot be read -> reason. how: as for `netvlad.read_places`.
    Raises NetvladError for anything but a folder, and where no photo is in it.
    """
    from netvlad.cli.common import WHOLE_LIST, tell
    from netvlad.maps.unplaced import unplaced
    from netvlad.places import Places, Skipped, read_places
    from netvlad.places.io.readers import walk_photos

    if not folder.is_dir():
        raise NetvladError("--unplaced takes a folder of photos: a table can state labels instead", path=folder)
    paths, closed = walk_photos(folder.absolute())
    if not paths:
        raise NetvladError("holds no photos", path=folder)
    try:
        placed = read_places(folder, **how)
    except PlacesError:  # none has a place
        skipped = tuple(Skipped(path, 0, reason) for path, reason in closed.items())
        placed = replace(unplaced([]), skipped=skipped)
    known = set(placed.path.tolist())
    rest = [path for path in paths if path not in known]
    mine = set(rest)
    skipped = tuple(s for s in placed.skipped if s.source not in mine)
    left_out.update({s.where: s.reason for s in skipped})
    tell(
        f"{folder}: {counted(len(skipped), 'row was', 'rows were')} left out",
        [str(s) for s in skipped],
        rest=WHOLE_LIST,
    )
    tell(f"{folder}: {counted(len(rest), 'photo has', 'photos have')} no place", rest)
    return replace(Places.concat([placed, unplaced(rest)]), skipped=skipped)
