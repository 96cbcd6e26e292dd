"""Photos whose names state their places, as gmberton/VPR-datasets-downloader writes them.

images/{train,val,test}/{database,queries}/@easting@northing@zone@letter@lat@lon@panorama@tile@heading@...@.jpg
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import one_of, read_text
from netvlad.benchmarks.protocol import STANDARD
from netvlad.benchmarks.vpr_bench import numbered
from netvlad.errors import PlacesError
from netvlad.places.io.exif import Shot
from netvlad.places.io.filenames import parse_name
from netvlad.places.io.readers import photos_below
from netvlad.places.table import Places
from netvlad.places.values import some

DOWNLOADER = "https://github.com/gmberton/VPR-datasets-downloader"


def read_folder(folder: Path, headings: bool = True) -> Places:
    """The photos in and below a folder, with UTM, heading, time and panorama from their names.

    A list FOLDER_images_paths.txt beside the folder, as in SF-XL, states which photos there should be.
    headings: whether names state the heading of the middle of the photo; otherwise it is unknown.
    Raises PlacesError if there are no photos, or some are not named by the convention.
    """
    paths, shots = named_photos(folder)
    columns = {k: np.array([getattr(s, k) for s in shots]) for k in ("lat", "lon", "easting", "northing", "utm")}
    for name in ("lat", "lon"):  # names round degrees to a metre and give UTM to the centimetre
        columns[name][columns["utm"] != 0] = np.nan
    return Places.build(
        path=paths,
        **columns,
        heading=[s.heading % 360 for s in shots] if headings else None,
        time=[s.time for s in shots],
        is_utc=[s.is_utc for s in shots],
        panorama=[s.panorama for s in shots],
    )


def read_labels(folder: Path) -> Places:
    """As `read_folder` for names with placeholders for positions: the field of the panorama is the place label."""
    paths, shots = named_photos(folder)
    unlabelled = [path for path, shot in zip(paths, shots, strict=True) if not shot.panorama]
    if unlabelled:
        raise PlacesError(
            f"{len(unlabelled)} of {len(paths)} photos in {folder} do not state their place in the seventh field of "
            f"their names (@easting@northing@zone@letter@lat@lon@PLACE@...): {some(unlabelled)}"
        )
    return Places.build(path=paths, place=[shot.panorama for shot in shots])


def named_photos(folder: Path) -> tuple[list[str], list[Shot]]:
    """Sorted paths of the photos of a folder, and what their names say."""
    paths = _paths(folder)
    if not paths:
        raise PlacesError("holds no photos; expected photos named @easting@northing@...", path=folder)
    parsed = [parse_name(path) for path in paths]
    odd = [os.path.relpath(path, folder) for path, shot in zip(paths, parsed, strict=True) if shot is None]
    if odd:
        raise PlacesError(
            f"{len(odd)} of {len(paths)} photos in {folder} are not named @easting@northing@...: {some(odd)}"
        )
    return paths, [shot for shot in parsed if shot]


def _paths(folder: Path) -> list[str]:
    listed = folder.with_name(f"{folder.name}_images_paths.txt")
    if listed.is_file():
        lines = [line.strip() for line in read_text(listed).splitlines()]
        return [os.path.join(folder, line) for line in lines if line]
    return photos_below(folder)


def read(
    root: Path,
    split: str,
    queries: str = "queries",
    reader: Callable[[Path], Places] = read_folder,
) -> Split:
    """Read database (gallery in some sets) and QUERIES of ROOT/images/SPLIT, or of ROOT/SPLIT as in MSLS."""
    base = one_of(root, f"images/{split}", split)
    return Split(reader(one_of(base, "database", "gallery")), reader(one_of(base, queries)))


def read_pairs(root: Path) -> Split:
    """Read a set without positions: the true matches of a query are the database photos of its label.

    The label is the number of a photo in the layout of VPR-Bench, ref/ and query/.
    """
    if (root / "ref").is_dir():
        database, queries = numbered(root / "ref"), numbered(root / "query")
        return Split(database, queries, [np.flatnonzero(database.place == label) for label in queries.place])
    split = read(root, "test", reader=read_labels)
    positives = [np.flatnonzero(split.database.place == label) for label in split.queries.place]
    return Split(split.database, split.queries, positives)


LAYOUT = """ROOT/
  images/          (or without it)
    {split}/
      database/    (or gallery/)
        @easting@northing@zone@letter@lat@lon@panorama@tile@heading@pitch@roll@height@time@note@.jpg
      {queries}/
        @easting@northing@..."""


def _make(name: str, title: str, split: str = "test", folder: str = "queries", **facts: Any) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        **{
            "reader": partial(read, split=split, queries=folder),
            "source": DOWNLOADER,
            "layout": LAYOUT.format(split=split, queries=folder),
            **facts,
        },
    )


def _size(database: int, queries: int, gigabytes: float | None = None) -> dict[str, Any]:
    return {"images": database + queries, "database": database, "queries": queries, "gigabytes": gigabytes}


_RUN = "run {} of the downloader; it writes this layout"
_SVOX: dict[str, Any] = {
    "how": _RUN.format("download_svox.py"),
    "licence": "research only (Google Street View, Oxford RobotCar)",
}
OF_VPR_BENCH = """
or, as VPR-Bench and GSV-Cities name pairs:
  ref/0000000.jpg ... and query/0000000.jpg ..."""
_PAIRS: dict[str, Any] = {
    "reader": read_pairs,
    "layout": LAYOUT.format(split="test", queries="queries") + OF_VPR_BENCH,
    "protocol": replace(STANDARD, radius=None),
    "licence": "see the source",
}
_WEATHERS = {"night": 823, "overcast": 872, "rain": 937, "snow": 870, "sun": 854}

ALL = (
    *(
        _make(
            f"at-named-{split}",
            f"any set in the layout of the field's downloader, {split}",
            split,
            images=0,
            how="run the downloader, or name your own photos so",
            licence="the set's own",
        )
        for split in ("train", "val", "test")
    ),
    _make(
        "st-lucia",
        "St Lucia: a suburb of Brisbane driven twice",
        **_size(1549, 1464, 0.12),
        how=_RUN.format("download_st_lucia.py"),
        licence="see the source",
    ),
    _make(
        "eynsham",
        "Eynsham: 30 km around Oxford driven twice, grey panoramas in 5 tiles",
        **_size(23_935, 23_935, 1.2),
        how=_RUN.format("download_eynsham.py"),
        licence="see https://zenodo.org/record/1243106",
    ),
    _make("svox", "SVOX: Oxford, Street View against RobotCar", **_size(17_166, 14_278), **_SVOX),
    *(
        _make(f"svox-{w}", f"SVOX: Oxford, queries {w}", folder=f"queries_{w}", **_size(17_166, n), **_SVOX)
        for w, n in _WEATHERS.items()
    ),
    _make(
        "amstertime",
        "AmsterTime: archive photos of Amsterdam against today's, in pairs",
        **_size(1231, 1231),
        **_PAIRS,
        how=_RUN.format("download_amstertime.py"),
    ),
    _make(
        "sped",
        "SPED: fixed cameras over the seasons, in pairs",
        **_size(607, 607),
        **_PAIRS,
        how=_RUN.format("download_sped.py"),
    ),
)
