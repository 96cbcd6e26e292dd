"""Compressed search beside others over the same vectors, as Markdown rows: memory, build, recall and time.

    pip install hnswlib usearch
    python benchmarks/scale_rivals.py FOLDER --rows 1000000 --real real.npz [--only netvlad,faiss,...]

Vectors and real.npz: see scale_vectors.py. Recall is of the 10 nearest and of the nearest one, against exact search.
Times are of the processor, of all threads, so that other work on the machine weighs little. Each is built once and
asked with more and more effort. "re-scored": the best matches are compared by the float16 vectors, which stay on the
disk and do not count as memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench_scale import ASKED, BATCH, K, recall
from scale_vectors import Drawn

Search = Callable[[np.ndarray], np.ndarray]  # a query (512,) -> rows, the best first
Built = Iterator[tuple[str, float, Search]]  # effort, bytes a photo in memory, search


def netvlad(vectors: np.ndarray, folder: Path) -> Built:
    from netvlad.search.compressed_build import build
    from netvlad.search.nearest import rescored
    from netvlad.search.options import SearchOptions
    from netvlad.search.vector_file import VectorFile

    file = VectorFile.create(folder / "search.vectors", vectors.shape[1])
    file.append(blocks(vectors))
    made = build(file, SearchOptions("compressed"))
    each = made.memory / len(vectors)
    probed, depth = made.tuning.effort(1.0)
    tried = {"chosen": (probed, depth), **{f"{p} lists, {d}": (p, d) for p, d in efforts_of(made.lists)}}
    for name, (p, d) in tried.items():
        yield name, each, lambda q, p=p, d=d: rescored(file, q[None], made.candidates(q[None], d, p), K)[1][0]


def efforts_of(lists: int) -> list[tuple[int, int]]:
    return [(n, depth) for n in (lists // 8, lists // 2, lists) for depth in (400, 1600, 6400)]


def faiss_index(name: str, depths: tuple[int, ...]) -> Callable[[np.ndarray, Path], Built]:
    def built(vectors: np.ndarray, folder: Path) -> Built:
        import faiss

        index = faiss.index_factory(vectors.shape[1], name)
        index.train(vectors[:: max(1, len(vectors) // 65536)].astype(np.float32))
        for block in blocks(vectors):
            index.add(block)
        lists = faiss.try_extract_index_ivf(index)
        each = size(folder, lambda file: faiss.write_index(index, str(file))) / len(vectors)
        for probed in [0] if lists is None else (lists.nlist // 8, lists.nlist // 2, lists.nlist):
            for depth in depths:

                def search(q: np.ndarray, probed: int = probed, depth: int = depth) -> np.ndarray:
                    if lists is not None:
                        lists.nprobe = probed
                    return best(vectors, q, index.search(q[None], depth)[1][0])

                yield f"{f'{probed} lists, ' if probed else ''}{depth} re-scored", each, search

    return built


def exact(vectors: np.ndarray, folder: Path) -> Built:
    import faiss

    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16)
    for block in blocks(vectors):
        index.train(block) if not index.ntotal else None
        index.add(block)
    yield "", 2.0 * vectors.shape[1], lambda q: index.search(q[None], K)[1][0]


def hnswlib(vectors: np.ndarray, folder: Path) -> Built:
    import hnswlib

    index = hnswlib.Index("l2", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=100, M=16)
    for first in range(0, len(vectors), BATCH):
        index.add_items(vectors[first : first + BATCH].astype(np.float32))
        print(first, file=sys.stderr, flush=True)
    each = size(folder, lambda file: index.save_index(str(file))) / len(vectors)
    for ef in (50, 200, 800, 3200):
        yield f"ef {ef}", each, lambda q, ef=ef: (index.set_ef(ef), index.knn_query(q[None], K, 1)[0][0])[1]


def usearch(kind: str) -> Callable[[np.ndarray, Path], Built]:
    def built(vectors: np.ndarray, folder: Path) -> Built:
        from usearch.index import Index

        metric = "hamming" if kind == "b1" else "cos"  # of signs; vectors are whitened, so their mean is near 0
        index = Index(ndim=vectors.shape[1], metric=metric, dtype=kind, connectivity=16, expansion_add=100)
        as_given = (lambda x: np.packbits(x > 0, axis=-1)) if kind == "b1" else (lambda x: x)
        for first in range(0, len(vectors), BATCH):
            block = vectors[first : first + BATCH].astype(np.float32)
            index.add(np.arange(first, first + len(block)), as_given(block))
            print(first, file=sys.stderr, flush=True)
        each = size(folder, lambda file: index.save(str(file))) / len(vectors)
        for ef, depth in ((64, 10), (400, 400), (1600, 1600), (6400, 6400)):

            def search(q: np.ndarray, ef: int = ef, depth: int = depth) -> np.ndarray:
                index.expansion_search = ef
                return best(vectors, q, index.search(as_given(q), depth, threads=1).keys.astype(np.int64))

            yield f"expansion {ef}, {depth} re-scored", each, search

    return built


def lance(vectors: np.ndarray, folder: Path) -> Built:
    os.environ["LANCE_LOG"] = "error"  # it warns of each question
    import lance as library
    import pyarrow as pa

    flat = pa.array(vectors.astype(np.float32).reshape(-1))
    table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    data = library.write_dataset(table, str(folder / "rq.lance"))
    del flat, table
    data.create_index("vector", "IVF_RQ", num_partitions=1024, num_bits=1, metric="L2")
    data = library.dataset(str(folder / "rq.lance"))
    on_disk = sum(file.stat().st_size for file in (folder / "rq.lance" / "_indices").rglob("*") if file.is_file())
    for probed in (128, 512, 1024):
        for depth in (40, 160):

            def search(q: np.ndarray, probed: int = probed, depth: int = depth) -> np.ndarray:
                asked = {"column": "vector", "q": q, "k": K, "nprobes": probed, "refine_factor": depth}
                return data.to_table(columns=[], with_row_address=True, nearest=asked).column("_rowaddr").to_numpy()

            # one fragment holds up to a million rows: addresses of the first are row numbers
            yield f"{probed} lists, {K * depth} re-scored", on_disk / len(vectors), search


def blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(vectors), BATCH):
        yield vectors[first : first + BATCH].astype(np.float32)


def best(vectors: np.ndarray, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    rows = rows[rows >= 0]
    squared = ((vectors[rows].astype(np.float32) - query) ** 2).sum(1)
    return rows[np.argsort(squared, kind="stable")[:K]]


def size(folder: Path, write: Callable[[Path], None]) -> int:
    """Bytes of what is written: of these kinds of index all that is in the file is held in memory."""
    write(folder / "index")
    return (folder / "index").stat().st_size


KINDS = {
    "exact, float16": exact,
    "netvlad": netvlad,
    "faiss IVF1024,RaBitQfs": faiss_index("RR512,IVF1024,RaBitQfs", (400, 1600)),
    "faiss IVF1024,PQ64": faiss_index("IVF1024,PQ64", (400, 1600)),
    "lance IVF_RQ": lance,
    "usearch b1": usearch("b1"),
    "usearch i8": usearch("i8"),
    "hnswlib": hnswlib,
}


def nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    import faiss

    found = [faiss.knn(queries, block, K) for block in blocks(vectors)]
    squared = np.concatenate([part for part, _ in found], axis=1)
    rows = np.concatenate([part + BATCH * i for i, (_, part) in enumerate(found)], axis=1)
    return np.take_along_axis(rows, np.argsort(squared, axis=1, kind="stable")[:, :K], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--only", default=",".join(name.split()[0].strip(",") for name in KINDS))
    given = parser.parse_args()
    drawn = Drawn(given.real)
    vectors = np.concatenate([drawn.draw(i, BATCH).astype(np.float16) for i in range(0, given.rows, BATCH)])
    queries = drawn.queries[np.random.default_rng(1).permutation(len(drawn.queries))[:ASKED]]
    truth = nearest(vectors, queries)
    print("| search | bytes a photo | build, s | effort | recall of 10 | of the nearest | ms |")
    print("|---|---|---|---|---|---|---|")
    for name, built in KINDS.items():
        if name.split()[0].strip(",") in given.only.split(","):
            rows_of(name, built, vectors, queries, truth, given.folder / "rival")


def rows_of(name: str, built: Callable, vectors: np.ndarray, queries: np.ndarray, truth: np.ndarray, folder: Path):
    """Build one kind of search in a new `folder`, ask it with each effort, and print a row for each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start, took = time.process_time(), None
    for effort, each, search in built(vectors, folder):
        took = time.process_time() - start if took is None else took
        found, times = [], []
        for query in queries:
            start = time.process_time()
            found.append(search(query))
            times.append(1e3 * (time.process_time() - start))
        first = np.mean([rows[:1] == want[:1] for rows, want in zip(found, truth, strict=True)])
        figures = f"{effort} | {recall(found, truth):.3f} | {first:.3f} | {np.median(times):.1f}"
        print(f"| {name} | {each:.0f} | {took:.0f} | {figures} |", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
