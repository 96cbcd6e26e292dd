"""Batches of places with some photos of each, as GSV-Cities has them (Ali-bey et al. 2022)."""

from __future__ import annotations

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.places.place_matches import place_matches
from netvlad.places.visits import group_places
from netvlad.training.config import Config
from netvlad.types import IntArray


class PlaceSampler:
    """Groups photos into places, and these into batches.

    Photos of one label are a place; of those without one, photos within `mining.positive_radius` metres, one position
    each date. With a `sector`, photos of known heading share a place only where their headings fall into one of so many
    degrees. len(): the places with two photos or more; skipped: photos that are in none of these.
    Raises PlacesError where fewer than two such places are farther apart than `mining.negative_radius`.
    """

    def __init__(self, places: Places, config: Config) -> None:
        self.seed, self.batch, self.per_place = config.seed, config.batch, config.per_place
        label = _labels(places, config.mining.positive_radius)
        if config.sector:
            sector = np.where(np.isnan(places.heading), -1, np.nan_to_num(places.heading) // config.sector)
            label = np.unique(np.stack([label, sector.astype(np.int64)]), axis=1, return_inverse=True)[1].ravel()
        order = np.argsort(label, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
        self.members = [group for group in groups if len(group) > 1]
        self.skipped = len(places) - sum(map(len, self.members))
        if not self.members:
            raise PlacesError(f"no place has two of the {len(places)} photos: nothing tells what stays the same")
        centres = places[np.array([group[0] for group in self.members])]
        reach = config.mining.negative_radius + config.mining.positive_radius
        self._near = place_matches(centres, centres, reach)
        if (np.diff(self._near.offsets) == len(self)).all():
            raise PlacesError(
                f"all {len(self)} places with two photos or more lie within {reach:g} m of each other: two that are "
                "certainly apart are needed"
            )

    def __len__(self) -> int:
        return len(self.members)

    def order(self, epoch: int) -> IntArray:
        """All places in random order; those of a batch are certainly apart from each other where possible."""
        waiting = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self)).tolist()
        out: list[int] = []
        while waiting:
            batch = self.apart(waiting, self.batch)
            taken = set(batch)
            rest = [place for place in waiting if place not in taken]
            room = self.batch - len(batch)
            out += batch + rest[:room]  # those of rest are near others of the batch: `apart` leaves them out
            waiting = rest[room:]
        return np.array(out, np.int64)

    def apart(self, places: list[int], most: int | None = None) -> list[int]:
        """Those of `places` that are certainly apart from all before them, `most` at most."""
        out: list[int] = []
        blocked: set[int] = set()
        for place in places:
            if len(out) == most:
                break
            if place not in blocked:
                out.append(place)
                blocked.update(self._near.of(place)[0].tolist())
        return out

    def photos(self, place: int, epoch: int) -> np.ndarray:
        """PhotoRows of at most `per_place` photos of a place, drawn by the seed."""
        rng = np.random.default_rng([self.seed, 1, epoch, place])
        return rng.permutation(self.members[place])[: self.per_place]


def _labels(places: Places, radius: float) -> IntArray:
    """The place that each photo shows: (N,) int64."""
    label: IntArray = np.unique(places.place.astype(str), return_inverse=True)[1].ravel()
    rest = np.flatnonzero(places.place == "")
    label[rest] = group_places(places[rest], radius) + len(places)
    return label
