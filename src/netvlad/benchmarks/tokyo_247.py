"""Tokyo 24/7 (Torii et al. 2015): phone photos by day, at sunset and by night, Street View by day."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from netvlad.benchmarks import utm_filenames
from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.dbstruct import read_struct
from netvlad.benchmarks.layout import one_of, under
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import Array

ZONE = 32654  # 54 N, which the struct does not state
CUT_OUTS = 12
_CONDITIONS = np.array(["night", "day", "sunset"], object)  # by the query's number, counted from 1, modulo 3


def read(root: Path) -> Split:
    """Read the authors' layout, or that of the field's downloader if their .mat file is missing."""
    path = one_of(root, "datasets/tokyo247.mat", "tokyo247.mat", "raw/tokyo247.mat", "images/test")
    if path.is_dir():
        return _downloaded(root)
    struct = read_struct(path)
    if len(struct.database) % CUT_OUTS:
        reason = f"{len(struct.database)} database photos are no multiple of {CUT_OUTS} cut-outs"
        raise PlacesError(reason, path=path)
    # the struct says .jpg; the published photos are .png
    below = ("", "tokyo247/", "raw/tokyo247/")  # the last: OpenIBL's examples/data/tokyo
    photos = [f"{folder}{name}" for folder in below for name in ("images", "database_gsv_vga", ".")]
    paths = under(root, photos, struct.database, "database", suffix=".png")
    folders = [f"{folder}{name}" for folder in below for name in ("query", "247query_subset_v2", "247query_v3", ".")]
    asked = under(root, folders, struct.queries, "query")
    rows = np.arange(len(paths)) // CUT_OUTS
    return Split(
        _places(paths, struct.database_utm, [f"{row:05d}" for row in rows]),
        _places(asked, struct.queries_utm),
        condition=_CONDITIONS[np.arange(1, len(asked) + 1) % 3],
    )


def _places(paths: list[str], utm: Array, panorama: list[str] | None = None) -> Places:
    return Places.build(path=paths, easting=utm[:, 0], northing=utm[:, 1], utm=ZONE, panorama=panorama)


def _downloaded(root: Path) -> Split:
    """Read the downloader's layout: numbers 00010.jpg, 00011.jpg, 00012.jpg in names mean day, sunset, night."""
    split = utm_filenames.read(root, "test")
    found = [re.fullmatch(r"(\d{1,15})(?:\.jpg)?", name) for name in split.queries.panorama]
    odd = [os.path.basename(path) for path, n in zip(split.queries.path, found, strict=True) if n is None]
    if odd:
        raise PlacesError(
            f"{len(odd)} queries in {root / 'images/test/queries'} do not state their number in the seventh field of "
            f"their names, so that day, sunset and night are not known: {', '.join(odd[:3])}"
        )
    condition = _CONDITIONS[np.array([int(n[1]) for n in found if n]) % 3]
    return Split(split.database, split.queries, condition=condition)


LAYOUT = """ROOT/
  datasets/tokyo247.mat                   (or directly in ROOT, or in raw/)
  images/03814/.../..._012_0.png ...      (or 03814/ ... directly in ROOT, or tokyo247/03814/ ...; .jpg or .png)
                                          (or database_gsv_vga/ in place of images/)
  query/00001.jpg ...                     (or 247query_subset_v2/, 247query_v3/)
                                          (photos also in tokyo247/ or raw/tokyo247/, as OpenIBL has them)
or, as the field's downloader leaves it, queries scaled down to 480 pixels:
  images/test/database/@easting@northing@... and images/test/queries/@..."""

ALL = (
    Benchmark(
        name="tokyo247",
        title="Tokyo 24/7: phones by day, at sunset, by night against Street View",
        reader=read,
        images=75_984 + 315,
        database=75_984,
        queries=315,
        licence="research only, on request (Google Street View)",
        source="https://www.di.ens.fr/willow/research/netvlad/",
        how="photos: ask the authors of NetVLAD by e-mail; split: netvlad_v100_datasets.tar.gz on the project page. "
        "About 4 GB as the downloader's JPEG, several times that as the authors' PNG",
        layout=LAYOUT,
        protocol=replace(STANDARD, best_per_panorama=True, query_resize="one by one, as is"),
        conditions=("day", "sunset", "night", "sunset/night"),
    ),
)
