"""Pittsburgh 250k and 30k (Torii et al. 2013; splits of the NetVLAD paper, section 5.1)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from netvlad.benchmarks import utm_filenames
from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.dbstruct import read_struct
from netvlad.benchmarks.photos import one_of, under
from netvlad.errors import PlacesError
from netvlad.places.table import Places

ZONE = 32617  # 17 N: the structs do not say it


def read(root: Path, size: str, split: str) -> Split:
    """The authors' layout, or that of the field's downloader where their .mat file is not there."""
    name = f"pitts{size}_{split}.mat"
    has_struct = any((root / place / name).exists() for place in ("", "datasets"))
    if not has_struct and (root / "images" / split).is_dir():
        return utm_filenames.read(root, split)
    path = one_of(root, f"datasets/{name}", name, f"images/{split}")
    struct = read_struct(path)
    if struct.which not in ("", split):
        raise PlacesError(f"{path} says that it is {struct.which!r}; {split!r} is wanted under this name")
    return Split(
        _places(under(root, ("images", "."), struct.database, "database"), struct.database_utm),
        _places(under(root, ("queries", "queries_real"), struct.queries, "query"), struct.queries_utm),
    )


def _places(paths: list[str], utm) -> Places:
    # 000/000829_pitch1_yaw1.jpg: one of the 24 cut-outs of panorama 000829
    panoramas = [os.path.basename(path).partition("_pitch")[0] for path in paths]
    return Places.build(path=paths, easting=utm[:, 0], northing=utm[:, 1], utm=ZONE, panorama=panoramas)


LAYOUT = """ROOT/
  datasets/pitts{size}_{split}.mat             (or directly in ROOT)
  images/000/000829_pitch1_yaw1.jpg ...        (or 000/ ... directly in ROOT)
  queries_real/000/000546_pitch1_yaw1.jpg ...  (or queries/)
or, as the field's downloader leaves it:
  images/{split}/database/@easting@northing@... and images/{split}/queries/@..."""

HOW = (
    "photos: ask the authors of NetVLAD by e-mail; splits: netvlad_v100_datasets.tar.gz on the project page. 30k is a "
    "part of the photos of 250k"
)
LICENCE = "research only, on request (Google Street View)"
_TEST_250K = {
    "NetVLAD VGG-16 + whitening 4096-D": {"all": (86.0, 93.2, 95.1)},
    "NetVLAD VGG-16 32k": {"all": (86.4, 94.1, 95.6)},
    "NetVLAD AlexNet + whitening": {"all": (80.7, 89.6, 92.1)},
    "max pooling VGG-16, trained": {"all": (77.0, 88.7, 92.0)},
    "max pooling VGG-16, off the shelf": {"all": (39.3, 59.3, 67.4)},
    "VLAD VGG-16, off the shelf": {"all": (76.8, 87.7, 90.7)},
    "RootSIFT + VLAD + whitening": {"all": (77.9, 87.6, 90.7)},
    "RootSIFT + VLAD": {"all": (62.2, 74.8, 79.1)},
    "NetVLAD DINOv2-B, GSV-Cities": {"all": (95.6, 98.7, 99.3)},
}
_VAL_30K = {
    "NetVLAD AlexNet, trained to conv3": {"all": (85.5,)},
    "NetVLAD AlexNet, trained to conv5": {"all": (84.1,)},
    "max pooling AlexNet, trained": {"all": (68.5,)},
    "max pooling AlexNet, trained without Time Machine": {"all": (38.7,)},
    "max pooling AlexNet, off the shelf": {"all": (33.5,)},
}
PUBLISHED = {("250k", "test"): _TEST_250K, ("30k", "val"): _VAL_30K}
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
        published=PUBLISHED.get((size, split), {}),
    )
    for (size, split), (database, queries) in _COUNTS.items()
)
