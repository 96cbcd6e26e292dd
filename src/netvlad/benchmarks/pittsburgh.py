"""Pittsburgh 250k and 30k (Torii et al. 2013; splits of the NetVLAD paper, section 5.1)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from netvlad.benchmarks import utm_filenames
from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.dbstruct import read_struct
from netvlad.benchmarks.layout import one_of, under
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import Array

ZONE = 32617  # 17 N, which the structs do not state


def read(root: Path, size: str, split: str) -> Split:
    """Read the authors' layout, or that of the field's downloader if their .mat file is missing."""
    name = f"pitts{size}_{split}.mat"
    path = one_of(root, f"datasets/{name}", name, f"raw/{name}", f"images/{split}")
    if path.is_dir():
        return utm_filenames.read(root, split)
    struct = read_struct(path)
    if struct.which not in ("", split):
        raise PlacesError(f"is the split {struct.which!r}; its name says {split!r}", path=path)
    below = ("", "raw/Pittsburgh/", "Pittsburgh/")  # OpenIBL's examples/data/pitts, or its raw/
    photos = [f"{folder}images" for folder in below]
    asked = [f"{folder}{name}" for folder in below for name in ("queries", "queries_real")]
    return Split(
        _places(under(root, (*photos, "."), struct.database, "database"), struct.database_utm),
        _places(under(root, asked, struct.queries, "query"), struct.queries_utm),
    )


def _places(paths: list[str], utm: Array) -> Places:
    # 000/000829_pitch1_yaw1.jpg: one of the 24 cut-outs of panorama 000829
    panoramas = [os.path.basename(path).partition("_pitch")[0] for path in paths]
    return Places.build(path=paths, easting=utm[:, 0], northing=utm[:, 1], utm=ZONE, panorama=panoramas)


LAYOUT = """ROOT/
  datasets/pitts{size}_{split}.mat             (or directly in ROOT)
  images/000/000829_pitch1_yaw1.jpg ...        (or 000/ ... directly in ROOT)
  queries_real/000/000546_pitch1_yaw1.jpg ...  (or queries/)
or, as OpenIBL has them in examples/data/pitts:
  raw/pitts{size}_{split}.mat, raw/Pittsburgh/images/000/... and raw/Pittsburgh/queries/000/...
or, as the field's downloader leaves it:
  images/{split}/database/@easting@northing@... and images/{split}/queries/@..."""

HOW = (
    "photos: ask the authors of NetVLAD by e-mail; splits: netvlad_v100_datasets.tar.gz on the project page. 30k is a "
    "part of the photos of 250k"
)
LICENCE = "research only, on request (Google Street View)"
_COUNTS = {  # database, queries
    ("250k", "train"): (91_464, 7_824),
    ("250k", "val"): (78_648, 7_608),
    ("250k", "test"): (83_952, 8_280),
    ("30k", "train"): (10_000, 7_416),
    ("30k", "val"): (10_000, 7_608),
    ("30k", "test"): (10_000, 6_816),
}

ALL = tuple(
    Benchmark(
        name=f"pitts{size}-{split}",
        title=f"Pittsburgh {size}, {split}: Street View against Street View of another year",
        reader=partial(read, size=size, split=split),
        images=database + queries,
        database=database,
        queries=queries,
        gigabytes=round((database + queries) * 39e-6, 1),  # the three parts of 30k together have 2 GB
        licence=LICENCE,
        source="https://www.di.ens.fr/willow/research/netvlad/",
        how=HOW,
        layout=LAYOUT.format(size=size, split=split),
    )
    for (size, split), (database, queries) in _COUNTS.items()
)
