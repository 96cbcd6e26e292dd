"""Nordland (Sünderhauf et al. 2013): one railway line filmed in four seasons, with the same frames in each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from netvlad.benchmarks import utm_filenames
from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import is_number, one_of, read_text
from netvlad.benchmarks.protocol import STANDARD
from netvlad.benchmarks.vpr_bench import numbered
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import IntArray

LIST = "cleanImageNames.txt"
_DOWNLOADED = {"summer": "database", "winter": "queries"}


def read(root: Path, database: str, queries: str, tolerance: int, every: int) -> Split:
    """Read two seasons. A match is correct up to `tolerance` frames off; every `every`-th frame is a query.

    Frames are counted along the list of clean ones (no tunnels, no stations). There are no positions: the place label
    of a photo is the number of its frame.
    """
    found = one_of(root, LIST, "images/test", *(["ref"] if every > 1 else []))
    if found.name == "ref":
        return _numbered(root, tolerance, every)
    if found.is_file():
        listed = read_text(found).split()
        frames = {season: [str(root / season / name) for name in listed] for season in (database, queries)}
    else:
        frames = {season: _frames(found / _DOWNLOADED[season]) for season in (database, queries)}
        if len(frames[database]) != len(frames[queries]):
            raise PlacesError(
                f"{found} holds {len(frames['summer'])} frames in database, {len(frames['winter'])} in "
                "queries; expected the same frames of both seasons"
            )
    n = len(frames[database])
    asked = range(0, n, every)
    return Split(
        Places.build(path=frames[database], place=[f"{i:05d}" for i in range(n)]),
        Places.build(path=[frames[queries][i] for i in asked], place=[f"{i:05d}" for i in asked]),
        _near(n, tolerance, every),
    )


def _near(n: int, tolerance: int, every: int) -> list[IntArray]:
    """The frames, of n, that are right for each `every`-th one."""
    return [np.arange(max(0, i - tolerance), min(n, i + tolerance + 1)) for i in range(0, n, every)]


def _numbered(root: Path, tolerance: int, every: int) -> Split:
    """Read the layout of VPR-Bench and GSV-Cities: query i is frame `every` i of ref."""
    database, queries = numbered(root / "ref"), numbered(root / "query")
    asked = range(0, len(database), every)
    if len(queries) != len(asked):
        reason = f"ref holds {len(database)} frames and query {len(queries)}; expected every {every}th, {len(asked)}"
        raise PlacesError(reason, path=root)
    return Split(database, replace(queries, place=database.place[list(asked)]), _near(len(database), tolerance, every))


def _frames(folder: Path) -> list[str]:
    """Photos by the frame number in their names: @0@2.4@@@@@1@... is frame 1."""
    if not folder.is_dir():
        raise PlacesError(f"is not there; {LIST} beside the seasons' folders is not either", path=folder)
    places = utm_filenames.read_labels(folder)
    if not all(map(is_number, places.place)):
        odd = next(label for label in places.place if not is_number(label))
        reason = f"the seventh field of a name is the frame's number; {odd!r} is none"
        raise PlacesError(reason, path=folder)
    numbers = np.array([int(label) for label in places.place])
    order = np.argsort(numbers, kind="stable")
    if not np.array_equal(numbers[order], np.arange(len(numbers))):
        reason = f"frames 0 to {len(numbers) - 1} must occur once each; some are missing or occur twice"
        raise PlacesError(reason, path=folder)
    return list(places.path[order])


LAYOUT = """ROOT/
  cleanImageNames.txt          (a name a line)
  summer/images-00202.png ...
  winter/images-00202.png ...
or, as the field's downloader leaves it:
  images/test/database/@0@2.4@@@@@FRAME@... (summer) and images/test/queries/@... (winter)"""
OF_VPR_BENCH = """
or, as VPR-Bench and GSV-Cities name every 10th frame of summer:
  ref/0000000.jpg ... (winter) and query/0000000.jpg ..."""


def _make(database: str, queries: str, tolerance: int, every: int, whose: str, suffix: str = "") -> Benchmark:
    asked = -(-27_592 // every)
    return Benchmark(
        name=f"nordland-{database}-{queries}{suffix}",
        title=f"Nordland, database {database}, queries {queries}, {tolerance} frames ({whose})",
        reader=partial(read, database=database, queries=queries, tolerance=tolerance, every=every),
        images=27_592 + asked,
        database=27_592,
        queries=asked,
        licence="Creative Commons (NRK); see the source",
        source="https://nrkbeta.no/2013/01/15/nordlandsbanen-minute-by-minute-season-by-season/",
        how=f"summer.tar.gz, winter.tar.gz and {LIST}: links in download_nordland.py of {utm_filenames.DOWNLOADER}",
        layout=LAYOUT + (OF_VPR_BENCH if every > 1 else ""),
        protocol=replace(STANDARD, radius=None, frames=tolerance),
    )


ALL = (
    _make("summer", "winter", 10, 1, "as Patch-NetVLAD's paper"),
    # its nordland.npz places frame i at (i, i) with a radius of 10: frames up to 10 / sqrt(2) off are right
    _make("summer", "winter", 7, 1, "as Patch-NetVLAD's code", suffix="-7frames"),
    _make("winter", "summer", 1, 10, "as VPR-Bench"),
)
