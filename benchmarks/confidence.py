"""Does confidence mean something? A reliability diagram on the campus photos.

    python benchmarks/confidence.py OUT.png [MODEL]

An index of one light of east is calibrated on its own photos alone; then it is asked photos of the other light of east
that have a true match, and photos of west more than twice the radius from any of its places, which are not in the map.
They are mixed as the calibration assumes: one in five not in the map.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import netvlad
from common import campus
from netvlad.maps.confidence import ABSENT_SHARE
from netvlad.places import PlaceTree, distance
from netvlad.report.plots import reliability_diagram

RADIUS = 10.0


def asked(index, queries, present: bool):
    """(confidence, right, called not in the map) of the queries that are (not) in it."""
    tree = PlaceTree(index.places)
    near = np.diff(tree.radius_neighbors(queries, RADIUS if present else 2 * RADIUS).offsets) > 0
    queries = queries[near == present]
    answers = index.locate_all(list(queries.path), top=1).locations
    found = netvlad.Places.build(path=queries.path, lat=[a.lat for a in answers], lon=[a.lon for a in answers])
    right = distance(queries, found) <= RADIUS
    return np.array([(a.confidence, r, not a.in_map) for a, r in zip(answers, right, strict=True)])


def called_absent(index, photos: list[str]) -> float:
    """Percent of photos that are said not to be in the map."""
    return 100 * np.mean([not answer.in_map for answer in index.locate_all(photos, top=1).locations])


def _percent(called: np.ndarray) -> str:
    return f"{100 * called.mean():.0f} %"


def main() -> None:
    out, name = sys.argv[1], (sys.argv[2:] or ["resnet18-netvlad"])[0]
    folder = campus()
    indoors = sorted(str(p) for p in (folder.parent / "tower").glob("*/*.jpg"))[::15]
    everything, weights = [], []
    print(
        "| index | asked | answered right | mean confidence | called not in the map: of those not in it | "
        "of right answers | of wrong ones | of photos indoors elsewhere |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for light, other in (("day", "night"), ("night", "day")):
        places = {s: netvlad.read_places(folder / f"{s}_{other}.csv") for s in ("east", "west")}
        with tempfile.TemporaryDirectory() as temporary:
            index = netvlad.PlaceIndex.create(Path(temporary) / "x.vpr", netvlad.load(name), radius=RADIUS)
            index.add(netvlad.read_places(folder / f"east_{light}.csv"))
            foreign = f"{called_absent(index, indoors):.0f} % of {len(indoors)}" if indoors else "-"
            present, absent = asked(index, places["east"], True), asked(index, places["west"], False)
        rows = np.concatenate([present, absent])
        weight = np.concatenate(
            [np.full(len(present), (1 - ABSENT_SHARE) / len(present)), np.full(len(absent), ABSENT_SHARE / len(absent))]
        )
        print(
            f"| east {light} | {len(present)} {other} photos in the map, {len(absent)} not | "
            f"{100 * (weight * rows[:, 1]).sum():.1f} % | {100 * (weight * rows[:, 0]).sum():.1f} % | "
            f"{_percent(absent[:, 2])} | {_percent(present[present[:, 1] > 0, 2])} | "
            f"{_percent(present[present[:, 1] == 0, 2])} | {foreign} |"
        )
        everything.append(rows)
        weights.append(weight)
    rows, weight = np.concatenate(everything), np.concatenate(weights)
    drawn = np.random.default_rng(0).choice(len(rows), len(rows), p=weight / weight.sum())
    error = reliability_diagram(rows[drawn, 0], rows[drawn, 1] > 0, out)
    print(f"\nexpected calibration error {error:.3f}, {name}; wrote {out}")


if __name__ == "__main__":
    main()
