"""A version of an index as it is asked: the table, its search file and what is known of its confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.maps.calibrating import Part, calibrate
from netvlad.maps.calibration_file import kept_calibration
from netvlad.maps.confidence import DEEP, Calibration
from netvlad.maps.credits import Credits, read_credits
from netvlad.maps.location import Location, locate
from netvlad.maps.manifest import read_manifest
from netvlad.maps.remote import shown
from netvlad.maps.store import Store
from netvlad.maps.where import Spots, Where
from netvlad.places.io.exif import Shot, read_exif
from netvlad.search.options import SearchOptions
from netvlad.search.vector_index import Searched, VectorIndex, open_search
from netvlad.types import BoolArray, FloatArray, IntArray

GPS_RADIUS = 500.0  # metres: what phones state among houses is tens off, now and then hundreds


@dataclass(frozen=True)
class Subset:
    """The rows that a question is asked of, and the confidence of answers from them.

    mask: bool (N,), None for all. size: their number. uncalibrated: why there is no calibration.
    """

    mask: BoolArray | None
    size: int
    calibration: Calibration | None
    uncalibrated: str


def own_position(photo: str) -> tuple[float, float] | None:
    """Latitude and longitude that a photo's file states itself, None for none."""
    shot = read_exif(photo) if photo else Shot()
    known = np.isfinite([shot.lat, shot.lon]).all() and (shot.lat, shot.lon) != (0, 0)
    return (shot.lat, shot.lon) if known else None


class Snapshot:
    """The `store` of the index in `folder` at one version, and what is made from it when it is first asked for.

    radius: metres up to which an answer counts as correct.
    """

    def __init__(self, folder: Path, store: Store, radius: float) -> None:
        self.folder, self.store, self.radius = folder, store, radius
        self.subset = lru_cache(maxsize=4)(self._subset)  # of a few, as each photo may ask another

    @cached_property
    def search_options(self) -> SearchOptions:
        """What the search is wanted to be."""
        return read_manifest(self.folder).search

    @cached_property
    def flat_index(self) -> VectorIndex:
        """The search file, opened or made anew; exact or compressed."""
        return open_search(self.store, self.folder / "search.faiss", self.search_options)

    @property
    def searched(self) -> Searched:
        """What its answers are found with."""
        return self.flat_index

    def prepare(self) -> None:
        """Open or make all that answers need, so that the first who asks need not wait."""
        _ = self.flat_index, self.calibrated

    @cached_property
    def calibrated(self) -> tuple[Calibration | None, str]:
        """The calibration and the reason for none, kept in calibration.json."""
        return kept_calibration(self.folder / "calibration.json", self.store, lambda: self.searched, self.radius)

    @cached_property
    def spots(self) -> Spots:
        """Positions and times of all rows."""
        return Spots.of(self.store.places())

    @cached_property
    def credits(self) -> Credits:
        """Who took the photos that are by others."""
        return read_credits(self.folder)

    def rows_where(self, where: Where) -> IntArray:
        """The rows where `where` holds."""
        return np.flatnonzero(self.mask(where))

    def mask(self, where: Where) -> BoolArray:
        """Which rows fulfil all conditions, bool (N,)."""
        return where.mask(self.spots)

    def search(self, vectors: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`, of all rows."""
        return self.searched.search(vectors, k)

    def located(
        self, names: Sequence[str], vectors: FloatArray, top: int, where: Where, *, use_gps: bool = False
    ) -> list[Location]:
        """The location of each photo in `names`, by their vectors (Q, dim), among the rows where `where` holds.

        use_gps: as in `PlaceIndex.locate`. Raises PlaceIndexError where no row is left.
        """
        if not use_gps:
            return self._located(names, vectors, top, where)
        found = []
        for i, name in enumerate(names):
            gps = own_position(name)
            near = where if gps is None else where.closer(*gps, GPS_RADIUS)
            (answer,) = self._located([name], vectors[i : i + 1], top, near if self.subset(near).size else where)
            found.append(replace(answer, gps=gps))
        return found

    def _located(self, names: Sequence[str], vectors: FloatArray, top: int, where: Where) -> list[Location]:
        subset = self.subset(where)
        if not subset.size:
            raise PlaceIndexError("holds no photo of that region and time", path=shown(self.folder))
        squared, ids = self.searched.search(vectors, min(subset.size, max(top, DEEP)), subset.mask)
        found = [
            locate(name, self.store.places(row), d, self.radius, subset.calibration, top, subset.uncalibrated)
            for name, d, row in zip(names, squared, ids, strict=True)
        ]
        return [self.credits.told(location) for location in found]

    def _subset(self, where: Where) -> Subset:
        """The rows where `where` holds. Confidence is learnt from them alone: fewer places are easier to tell apart."""
        if not where:
            return Subset(None, len(self.store), *self.calibrated)
        mask = self.mask(where)
        mask.flags.writeable = False  # so that the search may keep what it makes of it
        rows = np.flatnonzero(mask)
        if not len(rows):
            return Subset(mask, 0, None, "no photo is left")
        if len(rows) == len(mask):
            return Subset(mask, len(rows), *self.calibrated)

        part = Part(self.searched, rows, len(mask))
        return Subset(mask, len(rows), *calibrate(self.store.places(rows), part, self.radius))
