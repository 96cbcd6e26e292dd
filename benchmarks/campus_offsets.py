"""How far apart the visits of the campus photos put the same spot: what bounds recall@1 within 10 m.

Of each two visits (a date, by day or by night) of the west half, the photos that are each other's nearest by descriptor
(resnet18-netvlad off the shelf, K = 32) and lie within 30 m: how many, by how much the later visit's positions are
shifted (median), the median distance, and how many of all mutual pairs lie within 10 m. At the end: recall@1 of photos
searched among those of the same light taken on other dates, where light changes nothing, and among those of the other.

    python benchmarks/campus_offsets.py
"""

from __future__ import annotations

import numpy as np

import netvlad
from campus import described
from common import campus
from netvlad.places import dates

NEAR, FEW = 30.0, 20


def main() -> None:
    places = {light: netvlad.read_places(campus() / f"west_{light}.csv") for light in ("day", "night")}
    model = netvlad.load("resnet18-netvlad", clusters=32)
    netvlad.fit(model, np.concatenate([p.path for p in places.values()]), seed=0)
    vectors = described(model, places)
    visits = {}
    for light, part in places.items():
        for number, date in enumerate(np.unique(dates(part))):
            rows = np.flatnonzero(dates(part) == date)
            at = np.stack([part.easting[rows], part.northing[rows]], axis=1)
            visits[f"{light} {number}"] = vectors[light][rows], at
    print("| visits | mutual pairs | within 30 m | shift east, north (m) | median distance (m) | within 10 m |")
    print("|---|---|---|---|---|---|")
    names = list(visits)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            row(f"{a}, {b}", *visits[a], *visits[b])
    for light in places:
        own = [name for name in visits if name.startswith(light)]
        alike = [(visits[name], [visits[other] for other in own if other != name]) for name in own]
        searched(f"by {light} among photos by {light} of other dates", alike)
        unlike = [visits[name] for name in visits if name not in own]
        searched(f"by {light} among photos of the other light", [(visits[name], unlike) for name in own])


def row(name: str, v, at, w, to) -> None:
    similar = v @ w.T
    there, back = similar.argmax(axis=1), similar.argmax(axis=0)
    mutual = np.flatnonzero(back[there] == np.arange(len(v)))
    moved = to[there[mutual]] - at[mutual]
    metres = np.linalg.norm(moved, axis=1)
    near = metres < NEAR
    if near.sum() < FEW:
        return
    east, north = np.median(moved[near], axis=0)
    print(
        f"| {name} | {len(mutual)} | {near.sum()} | {east:+.1f}, {north:+.1f} | {np.median(metres[near]):.1f} | "
        f"{100 * (metres <= 10).mean():.0f} % |"
    )


def searched(name: str, pairs: list) -> None:
    """pairs: photos of a visit, and the visits that they are searched among."""
    hits, within = [], []
    for (v, at), others in pairs:
        if not others:
            continue
        w, to = (np.concatenate(parts) for parts in zip(*others, strict=True))
        metres = np.linalg.norm(at[:, None] - to, axis=-1)
        found = metres[np.arange(len(v)), (v @ w.T).argmax(axis=1)]
        judged = (metres <= 10).any(axis=1)
        hits.append(found[judged] <= 10)
        within.append(found[judged] <= 25)
    hits, within = np.concatenate(hits), np.concatenate(within)
    print(
        f"{name}: recall@1 {100 * hits.mean():.1f} within 10 m, {100 * within.mean():.1f} within 25 m "
        f"({len(hits)} queries)"
    )


if __name__ == "__main__":
    main()
