"""Oxford 5k (Philbin et al. 2007) and Paris 6k (2008): landmarks, measured by mean average precision."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import one_of, read_text
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.places.io.readers import photos_below
from netvlad.places.table import Places


def read(root: Path, truth_folder: str) -> Split:
    """Read photos, and for each query its region of interest, the good and ok photos (correct), and the junk.

    The query's own photo is in the database and counts as correct, as in the published ground truth. There are no
    positions; the place label of a photo is its own name, since the landmark of most is not known.
    """
    photos = _photos(one_of(root, "images", "jpg"), root / "corrupt.txt")
    truth = one_of(root, "groundtruth", truth_folder, "gt")
    rows = {stem: row for row, stem in enumerate(photos)}
    queries = sorted(path.name.removesuffix("_query.txt") for path in truth.glob("*_query.txt"))
    if not queries:
        raise PlacesError("holds no files *_query.txt", path=truth)
    asked, roi, positives, junk = [], [], [], []
    for query in queries:
        stem, box = _query(truth / f"{query}_query.txt")
        asked += _rows([stem], rows, truth / f"{query}_query.txt")
        roi.append(box)
        right = [n for kind in ("good", "ok") for n in _rows_of(truth / f"{query}_{kind}.txt", rows)]
        positives.append(np.unique(np.array(right, np.int64)))
        junk.append(np.unique(np.array(_rows_of(truth / f"{query}_junk.txt", rows), np.int64)))
    database = Places.build(path=list(photos.values()), place=list(photos))
    names = np.array(queries, object)
    return Split(database, database[asked], positives, junk, np.array(roi), names=names)


def _photos(folder: Path, corrupt: Path) -> dict[str, str]:
    """Paths of photos by name without suffix, sorted, without those listed in corrupt.txt."""
    bad: set[str] = set()
    if corrupt.is_file():
        bad = {Path(line).stem for line in read_text(corrupt).split()}
    photos: dict[str, str] = {}
    for path in photos_below(folder):
        stem = Path(path).stem
        if stem in photos:
            raise PlacesError(f"holds two photos named {stem}: {photos[stem]} and {path}", path=folder)
        if stem not in bad:
            photos[stem] = path
    if not photos:
        raise PlacesError("holds no photos", path=folder)
    return photos


def _query(path: Path) -> tuple[str, list[float]]:
    """The name of a query's photo, and left, top, right, bottom, from the line of a *_query.txt."""
    pieces = read_text(path).split()
    try:
        stem, box = pieces[0], [float(piece) for piece in pieces[1:]]
    except (IndexError, ValueError):
        stem, box = "", []
    if len(box) != 4 or not np.isfinite(box).all():
        reason = f"expected a photo's name and left, top, right, bottom, not {' '.join(pieces)!r}"
        raise PlacesError(reason, path=path)
    return stem.removeprefix("oxc1_"), box


def _rows_of(path: Path, rows: dict[str, int]) -> list[int]:
    if not path.is_file():
        raise PlacesError("is not there", path=path)
    return _rows(read_text(path).split(), rows, path)


def _rows(stems: list[str], rows: dict[str, int], path: Path) -> list[int]:
    absent = [stem for stem in stems if stem not in rows]
    if absent:
        raise PlacesError(f"names {len(absent)} photos that are not there: {', '.join(absent[:5])}", path=path)
    return [rows[stem] for stem in stems]


LAYOUT = """ROOT/
  images/*.jpg                  (or jpg/; in folders or not)
  {truth}/{query}_query.txt, ..._good.txt, ..._ok.txt, ..._junk.txt    (or groundtruth/, gt/){more}"""


def _make(name: str, town: str, images: int, truth: str, query: str, more: str = "", **facts: Any) -> Benchmark:
    return Benchmark(
        name=name,
        title=f"{town}: 11 landmarks, 55 queries, mean average precision",
        reader=partial(read, truth_folder=truth),
        images=images,
        database=images,
        queries=55,
        licence="Flickr's terms and those of the Visual Geometry Group",
        layout=LAYOUT.format(truth=truth, query=query, more=more),
        kind="map",
        protocol=replace(STANDARD, radius=None),
        **facts,
    )


ALL = (
    _make(
        "oxford5k",
        "Oxford 5k",
        5063,
        "gt_files_170407",
        "all_souls_1",
        gigabytes=2.0,
        source="https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/",
        how="oxbuild_images-v1.tgz and gt_files_170407.tgz of the source",
    ),
    _make(
        "paris6k",
        "Paris 6k",
        6392,
        "paris_120310",
        "defense_1",
        "\n  corrupt.txt                   (a name a line; left out)",
        gigabytes=2.5,
        source="https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/",
        how="paris_1-v1.tgz, paris_2-v1.tgz, paris_120310.tgz and the list of 20 corrupt photos of the source",
    ),
)
