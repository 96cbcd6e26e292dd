"""What `netvlad locate --camera-track` is worth on photos of a walk whose positions and times are known.

    python benchmarks/camera_track.py --database west_day.csv --queries west_night.csv --index west_day.vpr

The queries count as photos of one camera. The index is made where it is not there. Queries without a photo of the
database within the radius are left out. How well confidences hold is told for the index's radius, over all queries: the
mean of (confidence - whether it is right) squared (Brier), and what the answers of 0.5 or more are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import netvlad
from netvlad.maps.camera_track import Track, follow_cameras
from netvlad.maps.location import Location
from netvlad.places import Places, radius_neighbors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("database", "queries", "index"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--radius", type=float, nargs="+", default=[10.0, 25.0])
    asked = parser.parse_args()
    database, queries = netvlad.read_places(asked.database), netvlad.read_places(asked.queries)
    if not (asked.index / "manifest.json").exists():
        netvlad.PlaceIndex.create(asked.index, netvlad.load("default")).add(database)
    index = netvlad.PlaceIndex.open(asked.index)
    found = index.locate_all(queries.path.tolist(), Track().best).locations
    seconds = queries.time.astype("datetime64[s]").astype(float)
    shots = {path: ("one", float(time)) for path, time in zip(queries.path, seconds, strict=True)}
    followed = follow_cameras(found, shots)
    changed = sum(now.matches[0] is not was.matches[0] for now, was in zip(followed, found, strict=True))
    print(f"{len(found)} queries, {len(database)} photos; {changed} answers are another match by --camera-track")
    for radius in asked.radius:
        known = np.diff(radius_neighbors(queries, database, radius).offsets) > 0
        alone, together = (100 * _right(each, queries, radius)[known].mean() for each in (found, followed))
        print(f"within {radius:g} m, {known.sum()} queries: {alone:.1f} % alone, {together:.1f} % by --camera-track")
    for name, answers in (("alone", found), ("by --camera-track", followed)):
        sure = np.array([at.confidence for at in answers])
        right = _right(answers, queries, answers[0].radius)
        brier = ((sure - right) ** 2).mean()
        print(f"confidence {name}: {sure.mean():.3f} in the mean, {right.mean():.3f} are right, Brier {brier:.3f}")
        print(f"  0.5 or more: {(sure >= 0.5).sum()}, {100 * right[sure >= 0.5].mean():.1f} % right")


def _right(found: list[Location], queries: Places, radius: float) -> np.ndarray:
    """Whether each answer lies within the radius of its query."""
    east = np.array([(at.easting, at.northing) for at in found])
    return np.linalg.norm(east - np.stack([queries.easting, queries.northing], 1), axis=1) <= radius


if __name__ == "__main__":
    main()
