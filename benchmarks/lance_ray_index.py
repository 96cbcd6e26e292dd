"""The index that lance-ray builds of a table with a fragment for each region, as Markdown rows for each kind.

    pip install lance-ray
    python benchmarks/lance_ray_index.py FOLDER --rows 1000000 --real real.npz --regions 4 [--kinds IVF_RQ ...]

Vectors, positions, queries and regions are those of cluster_search.py; the table stays in FOLDER. Two workers of Ray
build an index. A new process for each row asks one query at a time, everywhere, and in a town and a district by their
segments, by a filter or exactly; lance-ray's vector_search asks two workers. A row has: lists x candidates for each of
10; seconds of the first question; milliseconds (median), and those of the processor (mean); recall of the 10 nearest
there. Then 10,000 rows are added, twice. Times of the processor are those of all processes, looked at every 0.2 s.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import lance
import lance_ray
import numpy as np
import pyarrow as pa
import ray

from bench_scale import BATCH, K, recall
from cluster_search import ASKED, TOWN, positions
from common import busy_seconds
from netvlad.maps.shard import regions
from netvlad.places import Places
from scale_rivals import nearest
from scale_vectors import Drawn

CODES = ((0.5, 160), (1, 40), (1, 160))  # part of the lists, refine_factor; with the last it is asked in regions too
EFFORTS = {"IVF_RQ": CODES, "IVF_PQ": CODES, "IVF_SQ": ((0.5, 4), (1, 4)), "IVF_FLAT": ((0.125, 1), (0.5, 1), (1, 1))}
MORE = {"IVF_RQ": {"num_bits": 1}, "IVF_PQ": {"num_sub_vectors": 64}}
ON_TWO = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}


def write(place: Path, vectors: np.ndarray, rows: np.ndarray, at: np.ndarray) -> None:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    table = pa.table({"row": rows, "lat": at[0], "lon": at[1], "vector": column})
    lance.write_dataset(table, place, mode="append" if place.exists() else "create")


def segments(place: Path) -> dict[str, list[int]]:
    """Of each segment of the index its fragments."""
    return {str(s.uuid): sorted(s.fragment_ids) for s in lance.dataset(place).describe_indices()[0].segments}


def ask(name: str, place: Path, near: dict, given: dict, queries: np.ndarray, truth: np.ndarray) -> None:
    """Print a row. name: with vector_search in it, lance-ray's search is asked, otherwise Lance's own."""
    if by_workers := "vector_search" in name:
        ray.init("local", **ON_TWO)
        lance_ray.init_global_pool(2)
    data, rows, times = lance.dataset(place), [], [time.perf_counter()]

    def one(q: np.ndarray) -> None:
        wanted = {"columns": ["row", "_distance"], **given, "nearest": {"column": "vector", "k": K, **near, "q": q}}
        found = lance_ray.vector_search(data, num_workers=2, **wanted) if by_workers else data.scanner(**wanted)
        table = found if by_workers else found.to_table()
        rows.append(table["row"].to_pylist() + [-1] * (K - len(table)))
        times.append(time.perf_counter())

    one(queries[0])
    cpu, each = 1e3 * busy_seconds(lambda: [one(query) for query in queries]) / len(queries), np.diff(times)
    figures = f"{each[0]:.2f} | {1e3 * np.median(each[1:]):.0f} | {cpu:.0f} | {recall(rows[1:], truth):.3f}"
    print(f"| {name} | {' x '.join(str(one) for one in near.values() if one)} | {figures} |", flush=True)


def anew(*given: object) -> None:
    """`ask` in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(ask, *given).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", default=list(EFFORTS), choices=list(EFFORTS))
    given = parser.parse_args()
    n, drawn, firsts = given.rows, Drawn(given.real), range(0, given.rows, BATCH)
    queries = drawn.queries[np.random.default_rng(1).permutation(len(drawn.queries))[:ASKED]]
    vectors = np.concatenate([drawn.draw(first, BATCH).astype(np.float16) for first in firsts])
    at = np.concatenate([positions(first, BATCH) for first in firsts], axis=1)
    cut = regions(Places.build(path=np.arange(n).astype(str), lat=at[0], lon=at[1]), given.regions)
    place, lists = given.folder / f"{n}-{given.regions}.lance", min(1024, n // 256)
    for rows in [] if place.exists() else cut:
        write(place, vectors[rows], rows, at[:, rows])
    whole, (lat, lon), within = nearest(vectors, queries), at[:, :TOWN].mean(axis=1), {}
    for name, y, x in (("town", 0.09, 0.13), ("district", 1.35, 2)):
        inside = np.flatnonzero((abs(at[0] - lat) < y) & (abs(at[1] - lon) < x))
        reached = {i for i, rows in enumerate(cut) if np.intersect1d(rows, inside).size}
        only = {"filter": f"abs(lat - {lat}) < {y} and abs(lon - {lon}) < {x}", "prefilter": True}
        within[name] = reached, only, inside[nearest(vectors[inside], queries)]
        print(f"{name}: {len(inside)} photos of regions {reached}", flush=True)
    ray.init("local", **ON_TWO)
    for kind in given.kinds:
        more = {"num_segments": given.regions, "num_partitions": lists, **MORE.get(kind, {})}
        cpu = busy_seconds(lambda k=kind, m=more: lance_ray.create_index(str(place), "vector", k, num_workers=2, **m))
        found = segments(place)
        size = sum(file.stat().st_size for one in found for file in (place / "_indices" / one).iterdir())
        print(f"{kind}: {cpu:.0f} s of the processor, {size / n:.0f} bytes a photo, {found.values()}", flush=True)
        for part, factor in EFFORTS[kind]:
            near = {"nprobes": int(part * lists), "refine_factor": factor}
            anew("everywhere", place, near, {}, queries, whole)
        anew("everywhere, vector_search", place, near, {}, queries, whole)
        for name, (reached, only, truth) in within.items():
            of = {"index_segments": [one for one, fragments in found.items() if reached & set(fragments)]}
            anew(f"{name}, segments", place, near, {**only, **of}, queries, truth)
            anew(f"{name}, filter", place, near, only, queries, truth)
            anew(f"{name}, exactly", place, {"use_index": False}, only, queries, truth)
        every = vectors
        for merged in (0, 1):
            every = np.concatenate([every, drawn.draw(10**9 + TOWN * merged, TOWN).astype(np.float16)])
            write(place, every[-TOWN:], np.arange(len(every) - TOWN, len(every)), at[:, :TOWN])
            anew(f"everywhere, {TOWN} rows not indexed", place, near, {}, queries, nearest(every, queries))
            cpu = busy_seconds(lambda m=merged: lance_ray.optimize_indices(str(place), num_indices_to_merge=m))
            print(f"optimize_indices, {merged} merged: {cpu:.1f} s, {segments(place).values()}", flush=True)
        lance.dataset(place).delete(f"row >= {n}")


if __name__ == "__main__":
    main()
