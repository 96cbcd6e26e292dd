"""Ranking and judging at the size of an evaluation, against the bare matrix product: seconds and peak memory.

    python benchmarks/bench_evaluation.py [--full] [--rounds 3]

By default an eighth of Pitts250k-test in each direction; --full: 83,952 photos, 8,280 queries. 4096-D, the best 100.
Seconds of CPU are told beside those on the clock: on a machine that does other work they compare more fairly.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from common import peak_mib
from netvlad.benchmarks.protocol import Protocol
from netvlad.evaluation.run import evaluate
from netvlad.places import Places
from netvlad.search.rankers import Described, MemoryRanker
from netvlad.types import Ranking

DATABASE, QUERIES, DIM = 83_952, 8_280, 4096
CUT_OUTS = 24  # of each panorama of Pittsburgh
BLOCK = 1024  # queries multiplied at once: all scores together were 2.8 GB


class Given(MemoryRanker):
    """The ranker of every evaluation, over vectors that are there: `photos` are their numbers."""

    def __init__(self, vectors: dict[str, np.ndarray]):
        self.given = vectors
        super().__init__(Named(), range(len(vectors["describe database"])))

    def describe(self, photos, stage):
        return Described(photos, self.given.pop(stage))


class Named:
    name, dim = "made-up", DIM


def made(n: int, seed: int) -> np.ndarray:
    """Vectors of unit length (n, DIM) float32."""
    rng, out = np.random.default_rng(seed), np.empty((n, DIM), np.float32)
    for start in range(0, n, 8192):
        part = rng.standard_normal((min(8192, n - start), DIM), dtype=np.float32)
        out[start : start + 8192] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return out


def street(n: int, name: str, each: int) -> Places:
    """n photos, `each` at one spot, spots 10 m apart in rows of 60."""
    spot = np.arange(n) // each
    paths, panorama = [f"/{name}{i}" for i in range(n)], [f"{s:06d}" for s in spot]
    return Places.build(path=paths, easting=10.0 * (spot % 60), northing=10.0 * (spot // 60), panorama=panorama)


def timed(what: str, function, unit: float | None = None):
    """The result; prints seconds on the clock and of CPU, and how they stand to `unit`."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    of = f"   x{cpu / unit:.2f} of the product's CPU" if unit else ""
    print(f"{what:<44} {wall:8.2f} s {cpu:8.2f} s CPU{of}", flush=True)
    return result, cpu


def product(queries: np.ndarray, database: np.ndarray) -> None:
    out = np.empty((BLOCK, len(database)), np.float32)
    for start in range(0, len(queries), BLOCK):
        part = queries[start : start + BLOCK]
        np.matmul(part, database.T, out=out[: len(part)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the size of Pitts250k-test")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    part = 1 if arguments.full else 8
    d, q = DATABASE // part, QUERIES // part
    database, queries = street(d, "d", CUT_OUTS), street(q, "q", CUT_OUTS)
    print(f"{d:,} photos, {q:,} queries, {DIM}-D; vectors {4 * DIM * (d + q) / 2**30:.2f} GiB")
    for _ in range(arguments.rounds):
        vectors = {"describe database": made(d, 0), "describe queries": made(q, 1)}
        held = list(vectors.values())
        _, bare = timed("product of the vectors alone", lambda held=held: product(held[1], held[0]))
        del held
        print(f"peak memory with the product {peak_mib() / 1024:25.2f} GiB")
        ranker, _ = timed("MemoryRanker made (its copy of the vectors)", lambda v=vectors: Given(v))
        found, search = timed("best 100 of every query", lambda r=ranker: r.rank(range(q), 100), bare)

        class Answered:
            name, dim = "answered", None

            def rank(self, photos, k, found=found):
                return Ranking(found.ids[:, :k], found.scores[:, :k])

        timed("judged", lambda a=Answered: evaluate({"m": a()}, database, queries, Protocol()))
        rate = 2 * d * q * DIM / bare / 1e9
        print(f"product {rate:.0f} GFLOP a second of CPU; ranking takes {100 * (search / bare - 1):+.0f} % CPU more")
        print(f"peak memory {peak_mib() / 1024:42.2f} GiB")
        del ranker, found


if __name__ == "__main__":
    main()
