"""Which photos of a map are of one place, and which belong to one visit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netvlad.places import Places, sessions
from netvlad.types import FloatArray, IntArray


def by_label(places: Places) -> bool:
    """Whether most photos of a map have no position but the label of a place."""
    labels_alone = ~places.located & (places.place != "")
    return bool(labels_alone.sum() > places.located.sum())


@dataclass(frozen=True)
class Ground:
    """Which photos are of one place: xyz (N, 3) in metres and a radius, or the numbers of their labels (N,).

    An answer is right at the same label, or within the radius. Photos beyond twice the radius show another place.
    """

    xyz: FloatArray | None
    label: IntArray | None
    radius: float

    @classmethod
    def of(cls, places: Places, radius: float) -> Ground:
        """That of places that all have a position, or all a label."""
        if not by_label(places):
            return cls(places.xyz, None, radius)
        return cls(None, np.unique(places.place.astype(str), return_inverse=True)[1].reshape(-1), radius)

    def apart(self, rows: IntArray, ids: IntArray) -> FloatArray:
        """How far `ids` (Q, k) lie from rows (Q,), in radii; 0 or inf for labels."""
        if self.xyz is None:
            return np.where(self.label[ids] == self.label[rows][:, None], 0.0, np.inf)  # type: ignore[index]
        return np.asarray(np.linalg.norm(self.xyz[ids] - self.xyz[rows][:, None], axis=-1) / self.radius)

    def around(self, row: int, radii: float = 1.0) -> IntArray:
        """All rows so close to one, itself among them."""
        if self.xyz is None:
            return np.flatnonzero(self.label == self.label[row])  # type: ignore[index]
        return np.asarray(self._tree.query_ball_point(self.xyz[row], radii * self.radius), np.int64)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.xyz, balanced_tree=False)  # many photos share a spot


def own_visits(places: Places) -> Iterator[tuple[str, IntArray]]:
    """Yield what is left out with a photo and a number for each photo; photos of one number are left out together.

    "session" comes first, where there are several; then "place", or "photo" where there are labels only.
    """
    session = sessions(places)
    if len(np.unique(session[session >= 0])) > 1:
        # each photo without a time is a visit of its own
        alone = np.arange(len(session)) + session.max() + 1
        yield "session", np.where(session >= 0, session, alone)
    if not by_label(places):
        cell = np.round(places.xyz).astype(np.int64)  # cells of 1 m: cut-outs of one panorama, photos of one standpoint
        yield "place", np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)
    else:
        yield "photo", np.arange(len(places))


def from_best(places: Places, radius: float) -> FloatArray:
    """How far the places (k,) of a ranking lie from the first, in radii; of labels 0 where they are the same, else inf.

    A place without a position is inf away from one that has one.
    """
    if places.located[0]:
        gaps = np.linalg.norm(places.xyz - places.xyz[0], axis=-1) / radius
        return np.where(np.isfinite(gaps), gaps, np.inf)
    return np.where(places.place == places.place[0], 0.0, np.inf)
