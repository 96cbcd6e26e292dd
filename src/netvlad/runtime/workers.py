"""Other processes that take work off this one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def pool(workers: int):
    """An executor of `workers` processes that end when this one does.

    loky: workers that need no `if __name__ == "__main__"` in the caller's script, do not fork a process full of
    threads, and whose death by a bad file is noticed (TerminatedWorkerError).
    """
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, timeout=60, initializer=_quietly, initargs=(os.getpid(),))


def in_order(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """function(job) of each job in turn, worked out in other processes a little ahead of the reader; 0: here."""
    if workers == 0:
        yield from map(function, jobs)
        return
    executor, waiting = pool(workers), deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(function, job))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, kill_workers=True)


def _quietly(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    if hasattr(os, "nice"):
        os.nice(10)  # work in the gaps that the main process leaves: on few cores its threads wait for each other
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when the main process was killed and could not tell it to."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
