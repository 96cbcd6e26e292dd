"""San Francisco eXtra Large (Berton et al. 2022), in the layout of its own server."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import one_of
from netvlad.benchmarks.utm_filenames import read_folder
from netvlad.places.table import Places


def read(root: Path, version: str, split: str, queries: str | None) -> Split:
    """Read ROOT/VERSION/SPLIT/{database,QUERIES}, or the same in the folder of the version.

    Headings are left out: by the README they run from north over west to the left edge of a cut-out, by the authors'
    code clockwise to the middle of a panorama. No rule of this benchmark needs them.
    """
    base = one_of(root, f"{version}/{split}", split)
    if queries is None:
        return Split(read_folder(base, headings=False), Places.build(path=[]))
    asked = one_of(base, queries)
    return Split(read_folder(one_of(base, "database"), headings=False), read_folder(asked, headings=False))


LAYOUT = """ROOT/
  {version}/{split}/
    database/@easting@northing@10@S@lat@lon@panorama@@heading@@@@yyyymm@@.jpg ...
    {queries}/@...
  {version}/{split}/database_images_paths.txt    (where it is there, the photos that are expected)"""
TRAIN = """ROOT/
  {version}/train/**/@easting@northing@10@S@lat@lon@panorama@@heading@@@@yyyymm@@.jpg ...
  {version}/train_images_paths.txt    (where it is there, the photos that are expected)"""


def _make(name: str, title: str, version: str, split: str, folder: str | None, images: int, **facts: Any) -> Benchmark:
    part = f"{version}/{split}"
    return Benchmark(
        name=name,
        title=title,
        reader=partial(read, version=version, split=split, queries=folder),
        images=images,
        licence="research only (Google Street View, Flickr)",
        source="https://github.com/gmberton/CosPlace",
        how=f"rsync -rhz --ignore-existing rsync://vandaldata.polito.it/sf_xl/{part} {version}/",
        layout=(LAYOUT if folder else TRAIN).format(version=version, split=split, queries=folder),
        kind="recall" if folder else "train",
        **facts,
    )


_VAL: dict[str, Any] = {"database": 8015, "queries": 7983, "gigabytes": 0.8}  # the same photos in both versions
_TESTS = {"v1": 1000, "v2": 598, "night": 466, "occlusion": 76}

ALL = (
    _make("sf-xl-train", "SF-XL, train", "processed", "train", None, 5_600_000, gigabytes=242.0),
    _make("sf-xl-val", "SF-XL, val", "processed", "val", "queries", 15_998, **_VAL),
    *(
        _make(
            f"sf-xl-test-{test}",
            f"SF-XL, test: the whole city, queries {test}",
            "processed",
            "test",
            f"queries_{test}",
            2_800_000 + n,
            queries=n,
            gigabytes=122.0,
        )
        for test, n in _TESTS.items()
    ),
    _make("sf-xl-small-train", "SF-XL small, train", "small", "train", None, 60_000, gigabytes=2.8),
    _make("sf-xl-small-val", "SF-XL small, val", "small", "val", "queries", 15_998, **_VAL),
    _make(
        "sf-xl-small-test",
        "SF-XL small, test v1",
        "small",
        "test",
        "queries_v1",
        28_191,
        database=27_191,
        queries=1000,
        gigabytes=1.4,
    ),
)
