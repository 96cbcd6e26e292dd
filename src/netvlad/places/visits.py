"""The time machine: the same place seen on other dates."""

from __future__ import annotations

from math import dist
from typing import Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.sun import solar_offset
from netvlad.places.table import Places
from netvlad.types import Array, IntArray


def dates(places: Places) -> Array:
    """The date of each photo on the camera's wall clock, (N,) datetime64[D], NaT unknown.

    UTC is converted to local mean solar time, which is about an hour off the wall clock.
    """
    local = places.time + np.where(places.is_utc, solar_offset(places), np.timedelta64(0, "s"))
    return np.asarray(local.astype("datetime64[D]"))


def group_places(places: Places, radius: float = 10.0) -> IntArray:
    """Group photos into places: (N,) int64 labels, numbered from 0 in the order of the table.

    A place has photos of at most one position for each date, and no two of its photos are more than `radius` metres
    apart. Nearest positions are joined first (complete linkage): a photo of a later drive joins the nearest of an
    earlier drive, while neighbours on one drive, 8 to 12 m apart, stay apart. Photos without a date may join any place.
    The grouping does not depend on the order of the table. Time and memory grow with the pairs of positions within the
    radius. Raises PlacesError for a negative radius and for photos without a position.
    """
    from scipy.spatial import cKDTree

    if not radius >= 0:
        raise PlacesError(f"the radius must be 0 m or more, got {radius}")
    if not places.located.all():
        raise PlacesError(f"{places.path[~places.located][0]} has no position: photos are grouped by theirs here")
    spots, spot = np.unique(places.xyz, axis=0, return_inverse=True)
    spot = spot.ravel()
    pairs = cKDTree(spots).query_pairs(radius, output_type="ndarray") if len(spots) else np.empty((0, 2), int)
    pairs.sort(axis=1)
    apart = np.linalg.norm(spots[pairs[:, 0]] - spots[pairs[:, 1]], axis=-1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], apart))]
    seen: list[set[Any]] = [set() for _ in spots]
    day = dates(places)
    for where, when in set(zip(spot[~np.isnat(day)].tolist(), day[~np.isnat(day)].tolist(), strict=True)):
        seen[where].add(when)
    home = np.array(_join(spots.tolist(), pairs.tolist(), seen, radius), np.int64)[spot]
    _, first, label = np.unique(home, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[label.ravel()])


def _join(spots: list[list[float]], pairs: list[list[int]], seen: list[set[Any]], radius: float) -> list[int]:
    """Complete linkage over pairs in order of distance: the first member of each spot's group."""
    home = list(range(len(spots)))
    members = [[i] for i in home]
    for i, j in pairs:
        a, b = home[i], home[j]
        if a == b or not seen[a].isdisjoint(seen[b]):
            continue
        if any(dist(spots[m], spots[n]) > radius for m in members[a] for n in members[b]):
            continue
        for n in members[b]:
            home[n] = a
        members[a] += members[b]
        seen[a] |= seen[b]
    return home


def visits(places: Places, labels: IntArray) -> list[dict[np.datetime64, IntArray]]:
    """For each place its dates in order, with the rows of the photos of each: `visits(...)[place][date]` is (n,).

    labels (N,): as `group_places` returns them. Photos without a date are left out, so a place may have no dates.
    Raises PlacesError if there are not as many labels as photos.
    """
    labels = np.asarray(labels, np.int64)
    if labels.shape != (len(places),):
        raise PlacesError(f"labels must be ({len(places)},) for {len(places)} photos, got {labels.shape}")
    day = dates(places)
    rows = np.flatnonzero(~np.isnat(day) & (labels >= 0))
    rows = rows[np.lexsort((rows, day[rows], labels[rows]))]
    new = (np.diff(labels[rows]) != 0) | (np.diff(day[rows]) != np.timedelta64(0, "D"))
    out: list[dict[np.datetime64, IntArray]] = [{} for _ in range(labels.max(initial=-1) + 1)]
    for part in np.split(rows, np.flatnonzero(new) + 1):
        if len(part):
            out[labels[part[0]]][day[part[0]]] = part
    return out
