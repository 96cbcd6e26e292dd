"""INRIA Holidays (Jégou et al. 2008): 500 scenes, judged by mean average precision."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import is_number, one_of
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.places.io.readers import photos_below
from netvlad.places.table import Places
from netvlad.places.values import some


def read(root: Path) -> Split:
    """Read photos: 123402.jpg is the third of scene 1234. The first of each scene is its query and junk for itself.

    The scene is the place label; there are no positions.
    """
    folder = one_of(root, "jpg", "images")
    paths = photos_below(folder)
    if not paths:
        raise PlacesError("holds no photos", path=folder)
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    odd = [stem for stem in stems if not is_number(stem)]
    if odd:
        raise PlacesError(f"{len(odd)} of {len(paths)} photos in {folder} are not named by a number: {some(odd)}")
    number = np.array([int(stem) for stem in stems])
    scene = number // 100
    asked = np.flatnonzero(number % 100 == 0)
    members = [np.flatnonzero(scene == scene[row]) for row in asked]
    lost = np.setdiff1d(scene, scene[asked])
    if len(lost):
        reason = f"scenes without their query photo: {len(lost)}, the first {lost[0] * 100}.jpg"
        raise PlacesError(reason, path=folder)
    database = Places.build(path=paths, place=[str(n) for n in scene])
    return Split(
        database,
        database[asked],
        positives=[rows[rows != row] for row, rows in zip(asked, members, strict=True)],
        junk=[np.array([row]) for row in asked],
        names=np.array([stems[row] for row in asked], object),
    )


LAYOUT = """ROOT/
  jpg/100000.jpg 100001.jpg 100002.jpg 100100.jpg ...    (or images/)"""

ALL = (
    Benchmark(
        name="holidays",
        title="Holidays: 500 scenes, mean average precision",
        reader=read,
        images=1491,
        database=1491,
        queries=500,
        gigabytes=2.7,
        licence="INRIA holds the copyright; research",
        source="https://lear.inrialpes.fr/people/jegou/data.php.html",
        how="jpg1.tar.gz and jpg2.tar.gz of the source, unpacked in one folder",
        layout=LAYOUT,
        kind="map",
        protocol=replace(STANDARD, radius=None),
    ),
)
