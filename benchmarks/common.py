"""What the benchmarks share."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from netvlad.types import Ranking

SHARED = Path(os.environ.get("NETVLAD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def campus() -> Path:
    """The folder of campus photos; the benchmark ends with a reason where it is absent."""
    folder = SHARED / "data" / "campus"
    if not folder.is_dir():
        sys.exit(f"needs the campus photos in {folder} (set NETVLAD_SHARED)")
    os.environ.setdefault("NETVLAD_WEIGHTS", str(SHARED / "weights"))
    return folder


class VectorRanker:
    """A ranker over vectors that are there already: database (N, D), and those of queries by their paths."""

    name = "vectors"

    def __init__(self, database: np.ndarray, queries: Mapping[str, np.ndarray]):
        import faiss

        self.queries, self.dim = queries, database.shape[1]
        self.index = faiss.IndexFlatL2(self.dim)
        self.index.add(database)

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        import numpy as np

        from netvlad.search.flat_index import rank_vectors
        from netvlad.types import Ranking

        vectors = np.stack([self.queries[path] for path in photos])
        return Ranking(*rank_vectors(self.index.search, vectors, [], k, self.index.ntotal))


def interleaved(
    functions: dict[str, Callable[[], object]],
    rounds: int = 15,
    warm: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each, taken in turns, so that a busy moment of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(rounds + warm):
        for name, function in functions.items():
            start = clock()
            function()
            if i >= warm:
                times[name].append(clock() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def peak_mib(reset: bool = False) -> float:
    """Peak resident memory of this process in MiB (Linux), or the present one after a reset of the peak.

    Read from /proc: getrusage hands a process the peak of the one that started it.
    """
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def busy_seconds(run: Callable[[], object]) -> float:
    """Seconds of the processor that a call takes, of this process and of all below it, ended ones too.

    They are looked at every 0.2 s: a process that ends counts as it was seen last. Ray reaps its workers in a way that
    adds their time to no other process.
    """
    import psutil

    seen: dict[psutil.Process, list[float]] = {}
    ended, begun = threading.Event(), time.time()

    def look() -> None:
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                spent = sum(process.cpu_times()[:2])
                seen.setdefault(process, [spent if process.create_time() < begun else 0.0, 0.0])[1] = spent

    def watch() -> None:
        while not ended.wait(0.2):
            look()

    look()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        run()
    finally:
        ended.set()
        watching.join()
    look()
    return sum(last - first for first, last in seen.values())
