"""The track of a video in a map: frame by frame the place, made sure by the frames around it, or "lost"."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.remote import shown
from netvlad.maps.snapshot import Snapshot
from netvlad.sequences.evidence import DRIVE
from netvlad.sequences.hidden_markov import HiddenMarkov, Motion
from netvlad.types import Array, Describer, ImageLike

NEAREST, SPEED, SAMPLE = 20, 30.0, 200  # photos of the map a frame; metres a second; rows that the density comes from


@dataclass(frozen=True)
class Tracked:
    """Where the camera was at `t` seconds. path: the photo of the map that shows it, "" where it is lost.

    lat, lon: degrees, easting, northing: metres, NaN unknown or lost. probability: that it is there, within the map's
    radius. lost: that it is not in the map, or where is not sure (less than one half).
    """

    t: float
    path: str
    lat: float
    lon: float
    easting: float
    northing: float
    probability: float
    lost: bool

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: None for what is unknown."""
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}


class Tracker:
    """Takes frames in order of time; each gets its place `lag` frames later, in bounded memory.

    length: frames that an answer rests on, None for all so far and the `lag` after it; 1: single frames, no lag.
    Raises PlaceIndexError for a map without positions.
    """

    def __init__(self, model: Describer, snapshot: Snapshot, length: int | None = None, lag: int = 5) -> None:
        self.model, self.snapshot = model, snapshot
        self._xyz = snapshot.store.places().xyz
        if not np.isfinite(self._xyz).all(axis=1).any():
            raise PlaceIndexError("holds no positions, which a track needs", path=shown(snapshot.folder))
        motion = Motion(SPEED, SPEED, slack=2 * snapshot.radius, span=_span(self._xyz, 2 * snapshot.radius))
        lag = lag if length is None else min(lag, length - 1)
        self._chain = HiddenMarkov(DRIVE, motion, length=length, lag=lag)
        self._t = -math.inf

    def add(self, image: ImageLike, t: float) -> Tracked | None:
        """Take the frame at `t` seconds; returns the answer for the one `lag` frames before, if there is one.

        Raises ImageError, and NetvladError for a time that falls.
        """
        if not t >= self._t:
            raise NetvladError(f"frames come in order of time, got {t} s after {self._t} s")
        self._t = t
        squared, rows = self.snapshot.search(self.model.describe([image]), min(NEAREST, len(self._xyz)))
        ids = np.where(np.isfinite(self._xyz[rows[0]]).all(axis=1), rows[0], -1)
        estimate = self._chain.add(ids, -squared[0], self._xyz[ids], t, len(self._xyz))
        return None if estimate is None else self._tracked(estimate.t, estimate.ids, estimate.probability)

    def finish(self) -> list[Tracked]:
        """The answers for the last frames, which waited for later ones."""
        return [self._tracked(one.t, one.ids, one.probability) for one in self._chain.finish()]

    def _tracked(self, t: float, ids: Array, probability: Array) -> Tracked:
        sure = 0.0
        if len(ids):
            near = np.linalg.norm(self._xyz[ids] - self._xyz[ids[0]], axis=1) <= self.snapshot.radius
            sure = min(1.0, float(probability[near].sum()))
            if sure >= 0.5:
                place = self.snapshot.store.places(ids[:1])
                lat, lon = float(place.lat[0]), float(place.lon[0])
                east, north = float(place.easting[0]), float(place.northing[0])
                return Tracked(t, str(place.path[0]), lat, lon, east, north, sure, False)
        return Tracked(t, "", math.nan, math.nan, math.nan, math.nan, sure, True)


def _span(xyz: Array, reach: float) -> float:
    """How many rows lie within `reach` metres of one, in the mean over some."""
    held = xyz[np.isfinite(xyz).all(axis=1)]
    some = held[:: max(1, len(held) // SAMPLE)]
    return float(np.mean([(np.linalg.norm(held - one, axis=1) <= reach).sum() for one in some]))
