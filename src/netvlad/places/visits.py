"""The time machine: the same place seen on other dates."""

from __future__ import annotations

from math import dist

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.table import Places


def dates(places: Places) -> np.ndarray:
    """The calendar date on the camera's wall clock when each photo was taken: (N,) datetime64[D], NaT unknown.

    UTC is brought to local mean solar time by the longitude, which is an hour off the wall clock or so.
    """
    lead = np.where(places.is_utc & np.isfinite(places.lon), places.lon, 0) * 240  # seconds: 4 minutes a degree
    return (places.time + lead.astype("timedelta64[s]")).astype("datetime64[D]")


def group_places(places: Places, radius: float = 10.0) -> np.ndarray:
    """Which place each photo shows: (N,) int64 labels, numbered from 0 in the order of the table.

    A place holds, of each date, the photos of one position at most, and no two of its photos are more than `radius`
    metres apart. Nearest positions are joined first (complete linkage), so what a later drive took finds the nearest
    of an earlier drive, while the neighbours on one drive, 8 to 12 m apart, stay places of their own and cannot chain.
    Photos without a date may join any. Which photos share a place does not depend on the order of the table.
    Time and memory grow with the pairs of positions within the radius. Errors: PlacesError for a negative radius, and
    for photos without a position, whose label says their place.
    """
    from scipy.spatial import cKDTree

    if not radius >= 0:
        raise PlacesError(f"a radius of {radius} m: a number of metres from 0 up is wanted")
    if not places.located.all():
        raise PlacesError(f"{places.path[~places.located][0]} has no position: photos are grouped by theirs here")
    spots, spot = np.unique(places.xyz, axis=0, return_inverse=True)
    spot = spot.ravel()
    pairs = cKDTree(spots).query_pairs(radius, output_type="ndarray") if len(spots) else np.empty((0, 2), int)
    pairs.sort(axis=1)
    apart = np.linalg.norm(spots[pairs[:, 0]] - spots[pairs[:, 1]], axis=-1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], apart))]
    seen: list[set] = [set() for _ in spots]
    day = dates(places)
    for where, when in set(zip(spot[~np.isnat(day)].tolist(), day[~np.isnat(day)].tolist(), strict=True)):
        seen[where].add(when)
    home = np.array(_join(spots.tolist(), pairs.tolist(), seen, radius), np.int64)[spot]
    _, first, label = np.unique(home, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label.ravel()]


def _join(spots: list, pairs: list, seen: list[set], radius: float) -> list[int]:
    """Complete linkage over pairs, nearest first: the home of each spot."""
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


def visits(places: Places, labels: np.ndarray) -> list[dict[np.datetime64, np.ndarray]]:
    """For each place its dates in order, and the rows of the photos taken on each: `visits(...)[place][date]` is (n,).

    labels (N,): as `group_places` gives them. Photos without a date are left out; a place may have no date at all.
    Errors: PlacesError when there are not as many labels as photos.
    """
    labels = np.asarray(labels, np.int64)
    if labels.shape != (len(places),):
        raise PlacesError(f"labels of shape {labels.shape} for {len(places)} photos: one a photo is wanted")
    day = dates(places)
    rows = np.flatnonzero(~np.isnat(day) & (labels >= 0))
    rows = rows[np.lexsort((rows, day[rows], labels[rows]))]
    new = (np.diff(labels[rows]) != 0) | (np.diff(day[rows]) != np.timedelta64(0, "D"))
    out: list[dict] = [{} for _ in range(labels.max(initial=-1) + 1)]
    for part in np.split(rows, np.flatnonzero(new) + 1):
        if len(part):
            out[labels[part[0]]][day[part[0]]] = part
    return out
