"""A table in many files, such as one that is partitioned by region: read in pieces, of which one is in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.table import Places

SUFFIXES = (".parquet", ".geoparquet")
PIECE = 1_000_000  # rows: files are read together until there are as many


@dataclass(frozen=True)
class Parts:
    """The rows of all Parquet files below a folder, in the order of the files' paths.

    folder: absolute, or an address. files: their paths. read: what reads one of them, an empty one included. noted:
    called with the path and the rows of each as it comes up.
    """

    folder: str
    files: tuple[str, ...]
    read: Callable[[str], Places]
    noted: Callable[[str, Places], None] = lambda path, places: None

    def __iter__(self) -> Iterator[Places]:
        """Pieces of PIECE rows or a little more, of whole files. Raises PlacesError where one cannot be read."""
        waiting: list[Places] = []
        for file in self.files:
            waiting.append(self.read(file))
            self.noted(file, waiting[-1])
            if sum(map(len, waiting)) >= PIECE:
                yield Places.concat(waiting)
                waiting = []
        if waiting:
            yield Places.concat(waiting)

    def whole(self) -> Places:
        """All rows at once. Raises PlacesError where there is none."""
        return self._with_rows(Places.concat(self))

    def sample(self, n: int, seed: int = 0) -> Places:
        """At least `n` rows at random, or all if there are fewer; of each file the first and the last path are there.

        Reads all files. Raises PlacesError where there is no row.
        """
        rng = np.random.default_rng(seed)
        kept, keys = Places.concat([]), np.zeros(0)
        for piece in map(self.read, self.files):
            if not len(piece):
                continue
            mine = rng.random(len(piece))
            paths = piece.path.tolist()
            mine[[paths.index(min(paths)), paths.index(max(paths))]] = -1.0
            kept, keys = Places.concat([kept, piece]), np.concatenate([keys, mine])
            stay = np.sort(np.argsort(keys, kind="stable")[: max(n, int((keys < 0).sum()))])
            kept, keys = kept[stay], keys[stay]
        return self._with_rows(kept)

    def _with_rows(self, places: Places) -> Places:
        if not len(places):
            raise PlacesError(f"holds no rows in {len(self.files)} Parquet files", path=self.folder)
        return places


def parts_among(paths: Iterable[str], folder: str) -> tuple[str, ...]:
    """The Parquet files among `paths` below a folder, sorted; hidden ones and those of writers (_metadata) left out."""

    def counts(path: str) -> bool:
        below = path[len(folder) :].replace(os.sep, "/").split("/")
        return path.lower().endswith(SUFFIXES) and not any(name.startswith((".", "_")) for name in below)

    return tuple(sorted(path for path in paths if counts(path)))


def parts_below(folder: str) -> tuple[str, ...]:
    """`parts_among` the files of a folder on the disk."""
    found = (os.path.join(here, name) for here, _, names in os.walk(folder) for name in names)
    return parts_among(found, folder)
