"""Mining tuples of 100,000 queries over 1,000,000 places within 8 GB: milliseconds a query, peak memory.

Positions and descriptors are made up: photos along made-up streets of 30 km x 30 km, random float16
descriptors of 256 numbers, kept in a file. A query's tuple is mined as in training: its best potential positive within
10 m, 1,000 random negatives and 10 remembered ones of beyond 25 m.

    python benchmarks/bench_mining.py [--queries 100000] [--places 1000000] [--partial]
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
import torch

from common import peak_mib
from netvlad.places import Places
from netvlad.training.config import Mining
from netvlad.training.descriptor_cache import DescriptorCache
from netvlad.training.tuples import Tuples

DIM, SIDE, CHUNK = 256, 30_000.0, 20_000


def streets(n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Easting and northing (n,) on a grid of streets 100 m apart, anywhere along them."""
    along, across = rng.uniform(0, SIDE, n), 100.0 * rng.integers(0, int(SIDE / 100), n)
    turned = rng.random(n) < 0.5
    return np.where(turned, along, across), np.where(turned, across, along)


def tables(places: int, queries: int) -> tuple[Places, Places]:
    """Places along streets, and queries a few metres from some of them."""
    rng = np.random.default_rng(0)
    at = np.stack(streets(places, rng))
    asked = at[:, rng.choice(places, queries, replace=False)] + rng.uniform(-5, 5, (2, queries))
    paths = [[f"/{kind}/{i // 1000:04d}/{i:07d}.jpg" for i in range(n)] for kind, n in (("d", places), ("q", queries))]
    return tuple(Places.build(path=p, easting=e, northing=n) for p, (e, n) in zip(paths, (at, asked), strict=True))


def fill(cache: DescriptorCache, rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for first in range(0, rows, CHUNK):
        x = torch.randn(min(CHUNK, rows - first), DIM, generator=generator)
        cache.set(np.arange(first, first + len(x)), torch.nn.functional.normalize(x, dim=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--partial", action="store_true", help="queries of a block of 1,000 share their draw")
    options = parser.parse_args()
    start = time.perf_counter()
    database, queries = tables(options.places, options.queries)
    print(f"tables                     {time.perf_counter() - start:8.1f} s   {peak_mib() / 1024:5.2f} GiB", flush=True)
    start = time.perf_counter()
    tuples = Tuples(database, queries, Mining(apart=None), margin=0.1)
    taken = time.perf_counter() - start
    print(f"potential positives        {taken:8.1f} s   {peak_mib() / 1024:5.2f} GiB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        cache = DescriptorCache(len(database) + len(queries), DIM, memory=0, folder=folder)
        fill(cache, len(database) + len(queries))
        taken = time.perf_counter() - start
        print(f"descriptors on disk        {taken:8.1f} s   {peak_mib() / 1024:5.2f} GiB", flush=True)
        order, found = tuples.order(1), 0
        start = time.perf_counter()
        for done, query in enumerate(order.tolist()):
            row, block = len(database) + query, done // 1000 if options.partial else None
            mined = tuples.mine(query, 1, lambda ids, row=row: cache.squared_distances(row, ids), block)
            found += mined is not None
        each = 1000 * (time.perf_counter() - start) / len(order)
    memory = peak_mib() / 1024
    print(f"mining {len(order)} queries, {found} tuples: {each:.2f} ms a query; peak memory {memory:.2f} GiB")


if __name__ == "__main__":
    main()
