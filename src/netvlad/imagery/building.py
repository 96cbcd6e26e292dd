"""A map of fetched pictures: panoramas are cut into views, and these and the ordinary pictures are indexed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.imagery.area import Area
from netvlad.imagery.fetched import TABLE, file_of
from netvlad.imagery.picture import Picture
from netvlad.imagery.shapes import WIDTH, parse_shape
from netvlad.maps.asked import parse_where
from netvlad.maps.credits import Credits, panorama_of, read_credits, write_credits
from netvlad.maps.match import Credit
from netvlad.places import Places, read_places
from netvlad.runtime.files import read_sealed, write_sealed

if TYPE_CHECKING:
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.sync import Synced

FILE = "imagery.json"
CUT_OUTS = "cutouts"


@dataclass(frozen=True)
class Request:
    """What a map was made of, so that it can be updated: the source, its address ("" the usual one), the area as it
    was written, which files, how far apart, the layout of cut-outs, and the folder of the pictures relative to the map.
    """

    source: str
    url: str
    around: str
    bbox: str
    after: str
    before: str
    quality: str
    thin: float
    layout: str
    folder: str
    shape: str = ""
    width: float = WIDTH

    def area(self) -> Area:
        """Where and when the map's pictures are. Raises NetvladError."""
        asked = (self.around, self.bbox, self.after, self.before)
        return Area(parse_where(*(text or None for text in asked)), parse_shape(self.shape, self.width))


def check_request(map_folder: Path, request: Request) -> None:
    """Raise PlaceIndexError for a map that is made of something else."""
    if (map_folder / FILE).exists():
        if read_request(map_folder) != request:
            reason = "was built for another area or in another way: `netvlad map update` follows that, or choose "
            raise PlaceIndexError(f"{reason}another name", path=map_folder)
    elif (map_folder / "manifest.json").exists():
        raise PlaceIndexError("is a map of other photos: choose another name", path=map_folder)


def write_request(map_folder: Path, request: Request) -> None:
    """Record in a map what it is made of. Raises PlaceIndexError as `check_request`."""
    check_request(map_folder, request)
    if not (map_folder / FILE).exists():
        map_folder.mkdir(parents=True, exist_ok=True)
        write_sealed(map_folder / FILE, asdict(request))


def read_request(map_folder: Path) -> Request:
    """What a map was made of. Raises PlaceIndexError for a map that was not built from street imagery."""
    if not (map_folder / FILE).exists():
        reason = f"was not built by `netvlad map build`: there is no {FILE} in it"
        raise PlaceIndexError(reason, path=map_folder)
    try:
        return Request(**read_sealed(map_folder / FILE))
    except (OSError, TypeError, ValueError) as e:
        raise PlaceIndexError(f"cannot be read: {e}", path=map_folder / FILE) from e


def picture_folder(map_folder: Path, request: Request) -> Path:
    """The folder of a map's pictures."""
    return Path(os.path.normpath(Path(os.path.abspath(map_folder)) / request.folder))


def views_of(folder: Path, pictures: Sequence[Picture], layout: Any, *, workers: int | None = None) -> Places:
    """The table of what is to be indexed: cut-outs of panoramas, level whatever way they were held, and the ordinary
    pictures.

    Cut-outs that are there are kept, those of pictures that are gone are removed. Pictures that are no panorama though
    their source says so are in `skipped`.
    """
    from netvlad.panoramas.cut_outs import write_cut_outs
    from netvlad.panoramas.pose import Pose

    table = read_places(folder / TABLE)
    poses = {str(file_of(folder, p)): Pose(p.pitch, p.roll, p.margins) for p in pictures if p.whole}
    is_whole = np.array([path in poses for path in table.path], bool)
    _remove_views(folder, {picture.name for picture in pictures})
    if not is_whole.any():
        return table
    whole = table[is_whole]
    held = [poses[path] for path in whole.path]
    cut = write_cut_outs(whole, folder / CUT_OUTS, layout, poses=held, workers=workers)
    return Places.concat([cut, table[~is_whole]])


def index_views(index: PlaceIndex, folder: Path, pictures: Sequence[Picture], views: Places, **how: Any) -> Synced:
    """Make a map agree with the views of pictures, whose credits are in it before any of their rows is.

    how: dry_run and workers, as for `PlaceIndex.sync`.
    """
    credits = {p.name: Credit(p.licence, p.credit, p.link) for p in pictures}
    write_credits(index.folder, Credits({**read_credits(index.folder).by_name, **credits}))
    found = index.sync(views, source=folder, **how)
    write_credits(index.folder, Credits(credits))
    return found


def _remove_views(folder: Path, names: set[str]) -> None:
    """Remove cut-outs of pictures that are not among `names`."""
    for file in (folder / CUT_OUTS / "photos").glob("*"):
        if panorama_of(file.stem) not in names:
            file.unlink()
