"""Pictures that show the same as another are left out: a car at a red light takes fifty."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from netvlad.imagery.picture import Picture
from netvlad.places.projection import ecef
from netvlad.types import IntArray

METRES = 3.0  # apart: nearer than that a photo from there looks the same
DEGREES = 20.0  # between headings of ordinary pictures; panoramas see all round


def thinned(pictures: Sequence[Picture], held: Set[str] = frozenset(), metres: float = METRES) -> IntArray:
    """The rows of pictures (N,) that stay, in order.

    A picture goes if one that stays was taken on the same day (UTC) by the same kind of camera, panorama or not, at
    less than `metres`, and with a heading that differs by less than `DEGREES`. held: names that come first, since
    they are there already; then by time, and by name. metres = 0 leaves all.
    """
    from scipy.spatial import cKDTree

    if len(pictures) < 2 or metres <= 0:
        return np.arange(len(pictures))
    points = ecef(np.array([p.lat for p in pictures]), np.array([p.lon for p in pictures]))
    near: dict[int, list[int]] = {}
    for a, b in cKDTree(points).query_pairs(metres):
        if _alike(pictures[a], pictures[b]):
            near.setdefault(a, []).append(b)
            near.setdefault(b, []).append(a)
    order = sorted(range(len(pictures)), key=lambda i: (pictures[i].name not in held, pictures[i].time, pictures[i].id))
    stays = np.zeros(len(pictures), bool)
    for row in order:
        stays[row] = not any(stays[other] for other in near.get(row, ()))
    return np.flatnonzero(stays)


def _alike(a: Picture, b: Picture) -> bool:
    if a.whole != b.whole or a.time[:10] != b.time[:10]:
        return False
    if a.whole:
        return True
    apart = abs((a.heading - b.heading + 180) % 360 - 180)
    return bool(apart < DEGREES)  # an unknown heading is like no other
