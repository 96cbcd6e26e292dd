"""All pairs within 25 m among a million places of a city, and how exact distances are, in zones and across them."""

from __future__ import annotations

import time

import numpy as np
from pyproj import Geod

from netvlad.places import Places, PlaceTree, distance


def main() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    lat, lon = rng.uniform(40.3, 40.57, n), rng.uniform(-80.2, -79.85, n)
    places = Places.build(path=np.arange(n).astype(str), lat=lat, lon=lon)
    start = time.perf_counter()
    tree = PlaceTree(places)
    built = time.perf_counter() - start
    start = time.perf_counter()
    found = tree.radius_neighbors(places, 25.0)
    print(
        f"{n} places over 30 km x 30 km: tree {built:.2f} s, all {len(found.ids)} pairs within 25 m "
        f"{time.perf_counter() - start:.2f} s"
    )

    worst = {}
    for metres in (10, 1_000, 100_000, 1_000_000):
        lat, lon = rng.uniform(-90, 90, 10_000), rng.uniform(-180, 180, 10_000)
        to_lon, to_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, rng.uniform(0, 360, 10_000), np.full(10_000, metres))
        a = Places.build(path=lat.astype(str), lat=lat, lon=lon)
        b = Places.build(path=lat.astype(str), lat=to_lat, lon=to_lon)
        worst[metres] = np.abs(distance(a, b) / metres - 1).max()
    print("largest relative error of 10,000 distances anywhere on earth:")
    for metres, error in worst.items():
        print(f"  {metres:>9,} m  {error:.1e}")


if __name__ == "__main__":
    main()
