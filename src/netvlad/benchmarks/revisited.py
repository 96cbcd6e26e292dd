"""Revisited Oxford and Paris (Radenović et al. 2018): new ground truth, 70 queries, three levels of difficulty."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.runtime.files import refuse_irregular
from netvlad.runtime.mat_files import check_sizes
from netvlad.types import Array, IntArray

# correct, and not counted: section 3.3 of the paper
PROTOCOLS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}


def read(root: Path, name: str, protocol: str) -> Split:
    """Read photos jpg/NAME.jpg and the ground truth gnd_NAME.mat. There are no positions: place labels are names.

    The ground truth is also published as a pickle, which is never loaded: a pickle can run anything.
    """
    truth = _truth(root, name)
    images, asked, gnd = (truth[key] for key in ("imlist", "qimlist", "gnd"))
    right, junk = PROTOCOLS[protocol]
    return Split(
        Places.build(path=[root / "jpg" / f"{stem}.jpg" for stem in images], place=images),
        Places.build(path=[root / "jpg" / f"{stem}.jpg" for stem in asked], place=asked),
        positives=[_rows(entry, right, len(images)) for entry in gnd],
        junk=[_rows(entry, junk, len(images)) for entry in gnd],
        roi=np.array([entry["bbx"] for entry in gnd]).reshape(-1, 4),
        names=np.array(asked, object),
    )


def _truth(root: Path, name: str) -> dict[str, Any]:
    from scipy.io import loadmat

    path = root / f"gnd_{name}.mat"
    if not path.is_file():
        pickled = path.with_suffix(".pkl")
        why = f"; {pickled.name} is there, but a pickle can run anything and is not loaded" if pickled.is_file() else ""
        raise PlacesError(f"is not there{why}: it is at {_TRUTH_URL.format(name=name)}", path=path)
    refuse_irregular(path, error=PlacesError)
    try:
        check_sizes(path)
        mat = loadmat(path)
        lists = {key: [str(np.asarray(cell).item()) for cell in mat[key].ravel()] for key in ("imlist", "qimlist")}
        gnd = list(mat["gnd"].ravel())
        entries = [{key: _numbers(entry[key]) for key in ("bbx", "easy", "hard", "junk")} for entry in gnd]
        if any(entry["bbx"].size != 4 for entry in entries):
            raise ValueError("a bbx has not four numbers")
    except MemoryError:
        raise
    except Exception as error:  # scipy and zlib each have their own
        raise PlacesError(
            "cannot be read as the published ground truth (imlist, qimlist, gnd with bbx, easy, hard, junk): "
            f"{type(error).__name__}: {error}",
            path=path,
        ) from error
    if len(entries) != len(lists["qimlist"]):
        reason = f"ground truth of {len(entries)} queries, but {len(lists['qimlist'])} names"
        raise PlacesError(reason, path=path)
    return {**lists, "gnd": entries}


def _numbers(value: Any) -> Array:
    numbers = np.asarray(value, np.float64).ravel()
    if not np.isfinite(numbers).all():
        raise ValueError("a number is not finite")
    return numbers


def _rows(entry: dict[str, Any], kinds: tuple[str, ...], n: int) -> IntArray:
    numbers = np.concatenate([entry[kind] for kind in kinds]).astype(np.int64)
    if len(numbers) and not (numbers.min() >= 1 and numbers.max() <= n):
        raise PlacesError(f"ground truth names photo {numbers.max()} of {n}, counted from 1")
    return np.unique(numbers - 1)  # MATLAB counts from 1


_PHOTOS = "https://www.robots.ox.ac.uk/~vgg/data"
_TRUTH_URL = "http://cmp.felk.cvut.cz/revisitop/data/datasets/{name}/gnd_{name}.mat"
LAYOUT = """ROOT/
  gnd_{name}.mat
  jpg/*.jpg        (all photos in one folder)"""
_SETS = {
    "roxford5k": ("Oxford", 4993, f"oxbuild_images-v1.tgz of {_PHOTOS}/oxbuildings/", 2.0),
    "rparis6k": ("Paris", 6322, f"paris_1-v1.tgz, paris_2-v1.tgz of {_PHOTOS}/parisbuildings/", 2.5),
}

ALL = tuple(
    Benchmark(
        name=f"{name}-{protocol}",
        title=f"Revisited {town}, {protocol}: 70 queries, mean average precision",
        reader=partial(read, name=name, protocol=protocol),
        images=database + 70,
        database=database,
        queries=70,
        gigabytes=gigabytes,
        licence="Flickr's terms and those of the Visual Geometry Group",
        source="https://github.com/filipradenovic/revisitop",
        how=f"{photos}, and {_TRUTH_URL.format(name=name)}",
        layout=LAYOUT.format(name=name),
        kind="map",
        protocol=replace(STANDARD, radius=None, unmatched="drop"),
    )
    for name, (town, database, photos, gigabytes) in _SETS.items()
    for protocol in PROTOCOLS
)
