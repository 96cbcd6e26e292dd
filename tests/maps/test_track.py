from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.maps.track import Tracker
from netvlad.places import Places


class Told:
    """A map of vectors along a street, 10 m apart, with what a Tracker asks of a snapshot and of a model."""

    radius, folder = 25.0, "street.vpr"

    def __init__(self, count: int = 60):
        self.vectors = np.random.default_rng(0).normal(size=(count, 256))
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        lat = 43 + np.arange(count) * 10 / 111_000
        self.table = Places.build(path=[f"{i}.jpg" for i in range(count)], lat=lat, lon=np.full(count, 33.0))
        self.store = self

    def places(self, rows=None):
        return self.table if rows is None else self.table[rows]

    def search(self, vectors, k):
        squared = ((self.vectors - vectors) ** 2).sum(axis=1)
        order = np.argsort(squared)[:k]
        return squared[order][None], order[None]

    def describe(self, images):
        return np.array(images)


def test_follows_a_street_through_a_wrong_frame_and_gets_lost_where_the_map_ends():
    street = Told()
    rng = np.random.default_rng(1)
    tracker = Tracker(street, street)
    found = []
    for t in range(40):
        vector = street.vectors[t] + rng.normal(size=256) * 0.06 if t < 25 else rng.normal(size=256)
        if t == 10:
            vector = street.vectors[55] + street.vectors[10] * 0.5
        found.append(tracker.add(vector / np.linalg.norm(vector), float(t)))
    track = [one for one in found if one] + tracker.finish()
    assert [one.t for one in track] == list(range(40))
    assert all(Path(one.path).name == f"{i}.jpg" for i, one in enumerate(track[:10]))
    assert abs(int(Path(track[10].path).stem) - 10) <= 2
    assert all(one.lost for one in track[30:])
    single = Tracker(street, street, length=1)
    wrong = street.vectors[55] + street.vectors[10] * 0.5
    assert single.add(wrong / np.linalg.norm(wrong), 0.0).path.endswith("55.jpg")


def test_time_does_not_fall():
    street = Told()
    tracker = Tracker(street, street)
    tracker.add(street.vectors[0], 1.0)
    with pytest.raises(NetvladError):
        tracker.add(street.vectors[0], 0.5)
