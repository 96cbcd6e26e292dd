"""The layout of VPR-Bench (Zaffar et al. 2021) for any set: ref/, query/ and a list of true matches.

GSV-Cities (`dataloaders/val`) reads photos of the same names with lists of its own, such as Nordland_gt.npy.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.layout import is_number, one_of
from netvlad.benchmarks.protocol import STANDARD
from netvlad.errors import PlacesError
from netvlad.images.read import PHOTO_SUFFIXES
from netvlad.places.table import Places
from netvlad.places.values import some
from netvlad.runtime.files import refuse_irregular
from netvlad.types import Array, IntArray

TRUTH = "ground_truth_new.npy"
MOST = 10**9  # bytes of a list, which is held in memory


def read(root: Path) -> Split:
    """Read ref/, query/ and ground_truth_new.npy, or the one file *_gt.npy of GSV-Cities."""
    database, queries = (numbered(one_of(root, folder)) for folder in ("ref", "query"))
    lists = [root / TRUTH] if (root / TRUTH).is_file() else sorted(root.glob("*_gt.npy"))
    if len(lists) != 1:
        found = f"{len(lists)} lists *_gt.npy" if lists else f"neither {TRUTH} nor a list *_gt.npy"
        raise PlacesError(f"holds {found}; expected one", path=root)
    return Split(database, queries, read_truth(lists[0], len(queries), len(database)))


def numbered(folder: Path) -> Places:
    """The photos of a folder by the numbers that are their names, which are their labels as well.

    Raises PlacesError for another name, and for a number that occurs twice.
    """
    names = [name for name in os.listdir(folder) if name.lower().endswith(PHOTO_SUFFIXES)] if folder.is_dir() else []
    if not names:
        raise PlacesError("holds no photos; expected 0000000.jpg, 0000001.jpg, ...", path=folder)
    odd = sorted(name for name in names if not is_number(_stem(name)))
    if odd:
        raise PlacesError(f"{len(odd)} of {len(names)} photos are not named by a number: {some(odd)}", path=folder)
    names.sort(key=lambda name: int(_stem(name)))
    numbers = [int(_stem(name)) for name in names]
    if len(set(numbers)) < len(numbers):
        raise PlacesError("holds a number twice; the photos of a list are counted by it", path=folder)
    return Places.build(path=[folder / name for name in names], place=[f"{number:07d}" for number in numbers])


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def read_truth(path: Path, queries: int, database: int) -> list[IntArray]:
    """The true matches of each query: rows of the database, counted from 0.

    Each row of the list is a query's number and its matches (VPR-Bench), or the matches alone (GSV-Cities). Published
    lists go a few photos past the end of their sets; those are left out. Raises PlacesError for anything else.
    """
    rows = _load(path)
    if len(rows) != queries:
        raise PlacesError(f"lists {len(rows)} queries; query/ holds {queries}", path=path)
    if rows.dtype.hasobject and rows.shape[1:] == (2,) and not _whole(rows[0, 1]):
        numbers = [number for number, _ in rows]
        if not all(_whole(number) for number in numbers) or sorted(numbers) != list(range(queries)):
            raise PlacesError(f"its first column is not the numbers 0 to {queries - 1} of the queries", path=path)
        by_number = {int(number): matches for number, matches in rows}
        matches = [by_number[number] for number in range(queries)]
    else:
        matches = list(rows)
    return [_within(path, number, row, database) for number, row in enumerate(matches)]


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer))


def _within(path: Path, query: int, row: Any, database: int) -> IntArray:
    try:
        if len(row) > 2 * database:  # a range of a few bytes may be as long as it likes
            raise ValueError(f"{len(row)} matches among {database} photos")
        matches = np.asarray(row, np.int64).reshape(-1) if len(row) else np.zeros(0, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PlacesError(f"the matches of query {query} are no list of photo numbers: {error}", path=path) from None
    kept = np.unique(matches[(matches >= 0) & (matches < database)])
    if len(matches) and not len(kept):
        raise PlacesError(f"query {query} matches photo {matches[0]}; ref/ holds {database}", path=path)
    return kept


def _load(path: Path) -> Array:
    refuse_irregular(path, error=PlacesError, most=MOST)
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[version](file)
            if not dtype.hasobject:
                file.seek(0)
                rows = np.load(file, allow_pickle=False)
            else:
                rows = _Plain(file, encoding="latin1").load()
    except Exception as error:  # a pickle that was tampered with raises anything
        raise PlacesError(f"cannot be read as a list of matches: {error}", path=path) from error
    if not isinstance(rows, np.ndarray) or rows.shape != shape or rows.ndim not in (1, 2) or not rows.size:
        raise PlacesError("is no list of matches, one row a query", path=path)
    return rows


def _empty(*_: object) -> Array:
    """The array that NumPy then fills; the arguments of the file could ask for any class and size."""
    return np.empty(0, np.int8)


def _scalar(dtype: Any, data: Any) -> Any:
    return np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, dtype)[0]


class _Plain(pickle.Unpickler):
    """Reads arrays, lists and numbers alone: a pickle can name any function, and is then refused."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        super().__init__(file, encoding=encoding)

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("multiarray", "_reconstruct"): _empty,
            ("multiarray", "scalar"): _scalar,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("builtins", "range"): range,
            ("__builtin__", "xrange"): range,
        }
        place = "multiarray" if module in ("numpy.core.multiarray", "numpy._core.multiarray") else module
        if (place, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and a list of matches needs no code")
        return allowed[place, name]


LAYOUT = """ROOT/
  ref/0000000.jpg ...
  query/0000000.jpg ...       (names are numbers, by which photos are counted)
  ground_truth_new.npy        (a query's number and those of its matches; or GSV-Cities' list, such as SPED_gt.npy)"""

ALL = (
    Benchmark(
        name="vpr-bench",
        title="any set in the layout of VPR-Bench",
        reader=read,
        images=0,
        licence="the set's own",
        source="https://github.com/MubarizZaffar/VPR-Bench",
        how="photos: the link in its README; lists: datasets/ of the repository. Or name your own photos so",
        layout=LAYOUT,
        protocol=replace(STANDARD, radius=None),
    ),
)
