"""Compressed search over many vectors with the neighbour statistics of real ones, as a Markdown row a size.

    python benchmarks/bench_scale.py FOLDER --rows 100000 --real real.npz [--kind exact]

FOLDER keeps the table, so that a run that was interrupted goes on, and results-ROWS-KIND.json. real.npz: descriptors of
real photos, see scale_vectors.py. Recall is of the 10 nearest, against exact search, by real queries.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from scale_vectors import Drawn

BATCH, K, ASKED = 50_000, 10, 200


def table(folder: Path, drawn: Drawn, rows: int):
    """The table in `folder` with `rows` rows, which are drawn where they are missing."""
    from netvlad.maps.store import Store

    store = Store(folder / "places.lance") if (folder / "places.lance").exists() else None
    store = store or Store.create(folder / "places.lance", 512, "scale")
    for first in range(len(store), rows, BATCH):
        append(store, drawn.draw(first, min(BATCH, rows - first)))
        print(f"{len(store)} rows", file=sys.stderr, flush=True)
    return store


def append(store, vectors: np.ndarray) -> None:
    from netvlad.maps.stamps import FileStamp
    from netvlad.places import Places

    first, n = len(store), len(vectors)
    path = [f"/photos/{i // 1000:05d}/{i:09d}.jpg" for i in range(first, first + n)]
    side = np.arange(first, first + n) * 1e-7  # the table goes through the land as a path does
    places = Places.build(path=path, lat=40 + side, lon=2.0)
    store.append(places, [FileStamp(0, 0)] * n, [i.to_bytes(16, "big") for i in range(first, first + n)], vectors)


def asked(index, queries: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds (Q,) of each query by itself, and rows (Q, K)."""
    index.search(queries[:1], K, mask)
    seconds, rows = [], []
    for query in queries:
        start = time.perf_counter()
        rows.append(index.search(query[None], K, mask)[1][0])
        seconds.append(time.perf_counter() - start)
    return 1e3 * np.array(seconds), np.array(rows)


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, wanted, strict=True)]))


def truth(store, queries: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """The K nearest rows of each query, by comparing all."""
    import faiss

    best, ids, first = np.full((len(queries), K), np.inf), np.full((len(queries), K), -1), 0
    for block in store.vectors():
        rows = np.arange(first, first + len(block))
        first += len(block)
        if mask is not None:
            block, rows = block[mask[rows]], rows[mask[rows]]
        if len(block):
            squared, near = faiss.knn(queries, block, min(K, len(block)))
            squared, near = np.c_[best, squared], np.c_[ids, rows[near]]
            order = np.argsort(squared, axis=1, kind="stable")[:, :K]
            best, ids = np.take_along_axis(squared, order, 1), np.take_along_axis(near, order, 1)
    return ids


def opened(folder: Path, kind: str) -> dict[str, float]:
    """Seconds to open table and search in a fresh process once modules are imported, and MiB that this takes."""
    done = subprocess.run([sys.executable, "-c", OPEN, folder, kind], capture_output=True, text=True, check=True)
    seconds, mib = map(float, done.stdout.split())
    return {"open_s": seconds, "open_mib": mib}


OPEN = """
import sys, time
from pathlib import Path
import faiss, lance, numpy, pandas
from netvlad.maps.store import Store
from netvlad.search.options import SearchOptions
from netvlad.search.vector_index import open_search

def rss():  # Linux
    return 4096 * int(open("/proc/self/statm").read().split()[1])

folder, before, start = Path(sys.argv[1]), rss(), time.perf_counter()
index = open_search(Store(folder / "places.lance"), folder / "search.faiss", SearchOptions(sys.argv[2]))
print(time.perf_counter() - start, (rss() - before) / 2**20)
"""


def main() -> None:
    from netvlad.search.options import SearchOptions
    from netvlad.search.vector_index import open_search

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--kind", choices=("compressed", "exact"), default="compressed")
    given = parser.parse_args()
    folder = given.folder / str(given.rows)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Drawn(given.real)
    store = table(folder, drawn, given.rows)
    file, options = folder / "search.faiss", SearchOptions(given.kind)
    start = time.perf_counter()
    index = open_search(store, file, options)
    found: dict[str, object] = {"rows": len(store), "kind": given.kind, "build_s": time.perf_counter() - start}
    if given.kind == "compressed":
        found |= {"bytes_a_photo": index.memory / len(store), "tuning": index.tuning.to_dict()}
    found |= opened(folder, given.kind)
    queries = drawn.queries[np.random.default_rng(1).permutation(len(drawn.queries))[:ASKED]]
    region = np.zeros(len(store), bool)
    region[len(store) // 2 :][: len(store) // 100] = True
    for name, mask in (("all", None), ("region", region)):
        milliseconds, rows = asked(index, queries, mask)
        found[name] = {
            "median_ms": float(np.median(milliseconds)),
            "p99_ms": float(np.percentile(milliseconds, 99)),
            "recall": recall(rows, truth(store, queries, mask)),
        }
    own = np.random.default_rng(2).integers(len(store), size=ASKED)
    vectors = index.vectors(np.sort(own))
    found["own_recall"] = recall(asked(index, vectors)[1], truth(store, vectors))
    (given.folder / f"results-{given.rows}-{given.kind}.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found))
    if given.kind == "compressed":
        changes(store, index, file, drawn, found)
        (given.folder / f"results-{given.rows}-{given.kind}.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found))
    shutil.rmtree(folder)  # changed by now


def changes(store, index, file: Path, drawn: Drawn, found: dict[str, object]) -> None:
    """Seconds in which the search follows 10,000 photos that come, and 10,000 that go."""
    append(store, drawn.draw(10**9, 10_000))
    start = time.perf_counter()
    index.follow(store, file, [])
    found["add_10000_s"] = time.perf_counter() - start
    store.remove(store.held([]).column("_rowid").to_numpy()[:10_000])
    start = time.perf_counter()
    index.follow(store, file, np.arange(10_000))
    found["remove_10000_s"] = time.perf_counter() - start


if __name__ == "__main__":
    main()
