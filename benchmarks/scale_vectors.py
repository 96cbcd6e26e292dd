"""Any number of vectors with the neighbour statistics of real ones, for benchmarks of search.

A place is drawn from the covariance of real vectors; its photos differ from it as neighbours among the real ones differ
from each other, both in direction and in length. Real vectors stand among them, so that real queries can be asked.

    python benchmarks/scale_vectors.py TOWN real.npz

describes the campus photos and the test split of a small town (`netvlad town build`, or that of `make demo`) with the
default model, fitted on the day photos of campus and the cut-outs of the town.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

PHOTOS = 8  # of a place on average
REAL = ("town_db", "campus_db")
QUERIES = ("town_q", "east_night", "west_night")
LIGHTS = ("west_day", "east_day", "west_night", "east_night")


class Drawn:
    """`draw(first, n)` gives rows first to first + n, the same at any time. queries (Q, 512): real ones."""

    def __init__(self, file: Path) -> None:
        """file: an .npz with descriptors (n, 512) under the names in REAL and QUERIES."""
        found = np.load(file)
        self.real = np.concatenate([found[name] for name in REAL])
        self.queries = np.concatenate([found[name] for name in QUERIES])
        self.mean = self.real.mean(0)
        near, self.lengths = [], []
        for name in REAL:
            x = found[name]
            similar = x @ x.T
            np.fill_diagonal(similar, -2)
            difference = x[similar.argmax(1)] - x
            near.append(difference)
            self.lengths.append(np.linalg.norm(difference, axis=1))
        self.between = _root(self.real - self.mean)
        self.within = _root(np.concatenate(near))
        self.lengths = np.concatenate(self.lengths)

    def draw(self, first: int, n: int) -> np.ndarray:
        """(n, 512) float32, of unit length. first and n: multiples of 10,000. The first rows are the real ones."""
        x = np.concatenate([self._chunk(start) for start in range(first, first + n, 10_000)])
        planted = self.real[first : first + n]
        x[: len(planted)] = planted
        return x

    def _chunk(self, first: int) -> np.ndarray:
        rng = np.random.default_rng([7, first])
        place = np.sort(rng.integers(10_000 // PHOTOS, size=10_000))
        dim = len(self.mean)
        centres = self.mean + rng.standard_normal((10_000 // PHOTOS, dim), np.float32) @ self.between
        apart = rng.standard_normal((10_000, dim), np.float32) @ self.within
        apart_squared = rng.choice(self.lengths, 10_000) ** 2
        length = np.sqrt(apart_squared / (2 - apart_squared))  # two such steps apart, and then of unit length again
        apart *= (length / np.linalg.norm(apart, axis=1))[:, None].astype(np.float32)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        x = centres[place] + apart
        return x / np.linalg.norm(x, axis=1, keepdims=True)


def _root(x: np.ndarray) -> np.ndarray:
    """What turns white noise into noise with the second moments of x (n, dim): (dim, dim) float32."""
    values, axes = np.linalg.eigh(x.T.astype(np.float64) @ x / len(x))
    return (axes * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)


def main() -> None:
    import netvlad
    from common import campus
    from netvlad.describe.stream import describe_all

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("town", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    lights = {light: netvlad.read_places(campus() / f"{light}.csv").path.tolist() for light in LIGHTS}
    photos = {
        "town_db": netvlad.read_places(given.town / "test" / "database" / "places.parquet").path.tolist(),
        "town_q": netvlad.read_places(given.town / "test" / "queries" / "places.parquet").path.tolist(),
        "campus_db": lights["west_day"] + lights["east_day"],
        **{light: lights[light] for light in ("west_night", "east_night")},
    }
    model = netvlad.fit(netvlad.load("default"), photos["campus_db"] + photos["town_db"])
    np.savez(given.out, **{name: describe_all(model, paths, what=name)[0] for name, paths in photos.items()})


if __name__ == "__main__":
    main()
