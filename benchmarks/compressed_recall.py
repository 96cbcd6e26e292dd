"""Recall@1/5/10 of places by exact and by compressed search, for the photos of a table asked of a map.

    python benchmarks/compressed_recall.py campus.vpr east_night.csv --radius 10

Compressed search of a few photos is exact; here it is made to use its codes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from netvlad.describe.stream import describe_all
from netvlad.maps.index import PlaceIndex
from netvlad.places import read_places
from netvlad.search import compressed_index
from netvlad.search.options import SearchOptions
from netvlad.search.vector_index import open_search

AT = (1, 5, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map")
    parser.add_argument("queries")
    parser.add_argument("--radius", type=float, default=25.0)
    given = parser.parse_args()
    compressed_index.FEW = 0
    index, queries = PlaceIndex.open(given.map), read_places(given.queries)
    vectors, bad = describe_all(index.model, queries.path.tolist(), workers=0)
    good = np.setdiff1d(np.arange(len(queries)), list(bad))
    apart = np.linalg.norm(queries.xyz[good][:, None] - index.places.xyz[None], axis=2)
    right = apart <= given.radius
    asked = right.any(axis=1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for kind in ("exact", "compressed"):
            search = open_search(index.store, Path(folder) / f"{kind}.faiss", SearchOptions(kind))
            rows = search.search(vectors[good][asked], max(AT))[1]
            hits = np.take_along_axis(right[asked], rows, axis=1)
            told = " / ".join(f"{100 * hits[:, :n].any(axis=1).mean():.1f}" for n in AT)
            print(f"{kind}: recall@{'/'.join(map(str, AT))} {told}, {asked.sum()} queries, {len(index)} photos")


if __name__ == "__main__":
    main()
