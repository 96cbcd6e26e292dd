"""Threads of NumPy, torch and faiss: how they wait for each other, and where one is enough."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# As shipped, a thread that has done its part of a loop spins for milliseconds. On cores that other work shares, such
# as this package's own processes that decode photos, it spins away the time that the thread it waits for would need:
# a loop of 0.2 ms then takes 10 to 100. The names are OpenMP's (torch, faiss) and OpenBLAS's (NumPy, SciPy).
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}


def wait_asleep() -> None:
    """Let threads that wait sleep, in this process and those it starts, unless the environment says otherwise.

    The libraries read it when they are loaded, so that it does nothing for those that are loaded already.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)


@contextmanager
def one_thread() -> Iterator[None]:
    """NumPy's products run on one thread within, for loops over many that are too small to share.

    It applies to the whole process, and takes a millisecond or two to begin.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
