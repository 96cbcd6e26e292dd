"""Confidence learnt from a map's own photos, asked in the rest of it.

A bounded number of photos is asked, by the search that answers are found with. What has to be left out is taken from a
ranking that is deeper than needed; only where too little is left of it the search is repeated among the other rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from netvlad.maps.confidence import ABSENT, ABSENT_SHARE, DEEP, RIGHT, WRONG, Calibration, evidence, fit
from netvlad.maps.ground import Ground, by_label, own_visits
from netvlad.places import Places
from netvlad.runtime.counted import counted
from netvlad.search.vector_index import Searched
from netvlad.types import BoolArray, FloatArray, IntArray

SAMPLE, LEAST = 1000, 200  # photos that are asked: of a small map, and of a large one
ROWS = 20_000_000  # rows that are compared, at most, before fewer than SAMPLE photos are asked
CHUNK = 50  # photos that are asked at once
FEWEST = 10  # right answers needed to learn from
SECONDS = 5.0  # after which no further chunk is asked
REACH = 256  # first matches that are looked at for what is left
FAR = 2.0  # radii within which a photo's place is left out
LARGE = 64  # photos of a visit that are left out by the search itself


class Part:
    """Some rows of a map as if they were all. rows (n,): which, ascending, of `size`."""

    def __init__(self, searched: Searched, rows: IntArray, size: int) -> None:
        self.searched, self.rows, self.size = searched, rows, size

    def vectors(self, rows: IntArray) -> FloatArray:
        """As `Searched.vectors`."""
        return self.searched.vectors(self.rows[rows])

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """As `Searched.search`."""
        mask = np.zeros(self.size, bool)
        mask[self.rows if among is None else self.rows[among]] = True
        squared, ids = self.searched.search(vectors, k, mask)
        return squared, np.where(ids < 0, -1, np.searchsorted(self.rows, ids))


def calibrate(places: Places, searched: Searched, radius: float, seed: int = 0) -> tuple[Calibration | None, str]:
    """Learn from an index's own `places` and what is found among them.

    Photos without a position are left out, unless more have a label alone: then a right answer is one of the same
    label, and photos without a label are left out. Returns the calibration and an empty string, or None and the reason
    why there can be none.
    """
    labels = by_label(places)
    known = places.place != "" if labels else places.located
    if not known.all():
        rows = np.flatnonzero(known)
        return calibrate(places[rows], Part(searched, rows, len(places)), radius, seed)
    if len(places) < 2 * FEWEST:
        few = f"{counted(len(places), 'photo')} {'is' if len(places) == 1 else 'are'} too few to learn from"
        return None, f"{few} (at least {2 * FEWEST})"
    ground, rows = Ground.of(places, radius), sample_of(len(places), seed)
    counts = []
    for how, visit in own_visits(places):
        features, outcomes, asked = ask(ground, searched, rows, visit)
        absent = outcomes == ABSENT
        right = int((outcomes == RIGHT).sum())
        if min(right, absent.sum()) >= FEWEST:
            weight = np.where(absent, ABSENT_SHARE / absent.sum(), (1 - ABSENT_SHARE) / (~absent).sum())
            return fit(features, outcomes, weight * len(outcomes), f"leave-one-{how}-out", asked, labels), ""
        counts.append(f"{right} without their own {how}")
    few = f"of {counted(len(rows), 'photo')} asked, too few were answered right: {', '.join(counts)}"
    return None, f"{few}; at least {FEWEST} are needed"


def sample_of(size: int, seed: int) -> IntArray:
    """Rows that are asked of so many, in the order in which they are."""
    number = int(np.clip(ROWS // max(size, 1), LEAST, SAMPLE))
    return np.random.default_rng(seed).permutation(size)[:number]


def ask(ground: Ground, searched: Searched, rows: IntArray, visit: IntArray) -> tuple[FloatArray, IntArray, int]:
    """Features (m, F) and outcomes (m,) of photos, each asked twice, and how many were asked.

    First without its own visit; then also without everything of its place, so that "not in the map" is right.
    """
    start, features, outcomes, asked = time.perf_counter(), [], [], 0
    large = np.bincount(visit)[visit[rows]] > LARGE
    for first in range(0, len(rows), CHUNK):
        if first and time.perf_counter() - start > SECONDS:
            break
        chunk, by_search = rows[first : first + CHUNK], large[first : first + CHUNK]
        parts = [(chunk[~by_search], None)]
        parts += [(chunk[by_search & (visit[chunk] == v)], visit != v) for v in np.unique(visit[chunk[by_search]])]
        for part, among in parts:
            for found, outcome in _asked(ground, searched, part, visit, among) if len(part) else ():
                features.append(found)
                outcomes.append(outcome)
        asked += len(chunk)
    return np.array(features), np.array(outcomes, int), asked


def _asked(
    ground: Ground, searched: Searched, rows: IntArray, visit: IntArray, among: BoolArray | None
) -> Iterator[tuple[FloatArray, int]]:
    vectors = searched.vectors(rows)
    k = min(REACH, len(visit))
    squared, ids = searched.search(vectors, k, among)
    whole = np.asarray(~np.isfinite(squared[:, -1])) if k < len(visit) else np.ones(len(rows), bool)
    others = np.asarray(np.isfinite(squared) & (visit[ids] != visit[rows][:, None]))
    elsewhere = np.asarray(others & (ground.apart(rows, ids) > FAR))
    for i, row in enumerate(rows):
        there = bool((visit[ground.around(row)] != visit[row]).any())
        for left, gone in ((others[i], False), (elsewhere[i], True)):
            d, found = squared[i][left][:DEEP], ids[i][left][:DEEP]
            if len(d) < DEEP and not whole[i]:
                rest = np.asarray(visit != visit[row])
                if gone:
                    rest[ground.around(row, FAR)] = False
                again = searched.search(vectors[i : i + 1], min(DEEP, len(visit)), rest)
                d, found = again[0][0], again[1][0]
                d, found = d[np.isfinite(d)], found[np.isfinite(d)]
            if len(d):
                right = ground.apart(rows[i : i + 1], found[None, :1])[0, 0] <= 1
                seen = evidence(d, ground.apart(found[:1], found[None])[0])
                yield seen, ABSENT if gone or not there else RIGHT if right else WRONG
