"""Worker processes: how many, what they are given, and what happens when one dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from netvlad.errors import NetvladError

Job = TypeVar("Job")
Result = TypeVar("Result")

MOST = 4  # workers by default


def cores() -> int:
    """Number of cores that this process may use, by its CPU affinity and the limits of its container."""
    from loky import cpu_count

    return int(cpu_count())


def default_workers(jobs: int, workers: int | None, few: int = 1) -> int:
    """Number of worker processes for `jobs` jobs; 0 means that this process does the work.

    Returns `workers` if it is given. Otherwise one per core but at most MOST, and none for `few` jobs or fewer, which
    are done before workers have started.
    """
    if workers is not None:
        return workers
    return 0 if jobs <= few else min(MOST, cores())


def pool(workers: int, *, idle: float | None = 60) -> Any:
    """A loky ProcessPoolExecutor of `workers` processes that end when this one does.

    idle: seconds without work after which they end, to start again with the next; None never.
    loky's workers need no `if __name__ == "__main__"` in the caller's script, do not fork a process full of threads,
    and their death is noticed (TerminatedWorkerError). OpenCV runs on one thread in each.
    """
    from loky import ProcessPoolExecutor

    one_thread = {"OPENCV_FOR_THREADS_NUM": "1"}  # there is a worker for each core already
    return ProcessPoolExecutor(workers, timeout=idle, initializer=_set_up, initargs=(os.getpid(),), env=one_thread)


def in_order(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Yield function(job) for each job in turn, computed by worker processes a little ahead of the reader.

    workers: number of processes; 0 computes here. Raises NetvladError if a worker dies.
    """
    from loky.process_executor import TerminatedWorkerError

    try:
        yield from _ahead(function, jobs, workers)
    except TerminatedWorkerError:
        raise NetvladError(
            "a worker process died, perhaps for want of memory; run the same again to go on, with fewer workers"
        ) from None


def in_chunks(
    function: Callable[[Job], Result], chunks: Iterable[Sequence[Job]], workers: int, crashed: Callable[[Job], Result]
) -> Iterator[list[Result]]:
    """Yield [function(job) for job in chunk] for each chunk in turn, computed as by `in_order`.

    A job that takes its worker down, as a broken photo may, yields crashed(job) instead: the jobs of its chunk are
    done again one by one, and fresh workers do the rest.
    """
    from loky.process_executor import TerminatedWorkerError

    each, todo = partial(_each, function), deque(chunks)
    while todo:
        try:
            for results in _ahead(each, list(todo), workers):
                todo.popleft()
                yield results
        except TerminatedWorkerError:  # also while the reader was slow to ask for more
            yield list(_one_by_one(function, todo.popleft(), crashed))


def _ahead(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    if workers == 0:
        yield from map(function, jobs)
        return
    executor = pool(workers)
    waiting: deque[Any] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(function, job))
            if len(waiting) >= workers + 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        executor.shutdown(wait=True)  # loky reports leaks when workers are killed while they tidy up
    finally:
        executor.shutdown(wait=False, kill_workers=True)


def _each(function: Callable[[Job], Result], chunk: Sequence[Job]) -> list[Result]:
    return [function(job) for job in chunk]


def _one_by_one(
    function: Callable[[Job], Result], jobs: Sequence[Job], crashed: Callable[[Job], Result]
) -> Iterator[Result]:
    from loky.process_executor import TerminatedWorkerError

    executor = pool(1)
    try:
        for job in jobs:
            try:
                yield executor.submit(function, job).result()
            except TerminatedWorkerError:
                yield crashed(job)
                executor.shutdown(wait=False, kill_workers=True)
                executor = pool(1)
    finally:
        executor.shutdown(wait=False, kill_workers=True)


def _set_up(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    if sys.platform != "win32":
        os.nice(10)  # use the gaps the main process leaves: on few cores its threads wait for each other
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when the main process was killed and could not stop it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
