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
    kind = np.unique([f"{p.time[:10]} {p.whole}" for p in pictures], return_inverse=True)[1]
    heading = np.array([0.0 if p.whole else p.heading for p in pictures])
    order = sorted(range(len(pictures)), key=lambda i: (pictures[i].name not in held, pictures[i].time, pictures[i].id))
    tree, stays = cKDTree(points), np.ones(len(pictures), bool)
    for row in order:  # only for those that stay are neighbours looked for, and few of these lie within a few metres
        if stays[row]:
            near = np.array(tree.query_ball_point(points[row], metres))
            apart = np.abs((heading[near] - heading[row] + 180) % 360 - 180)
            stays[near[(kind[near] == kind[row]) & (apart < DEGREES)]] = False  # an unknown heading is like no other
            stays[row] = True
    return np.flatnonzero(stays)
