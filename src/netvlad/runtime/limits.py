"""Limits of processor time and memory for a worker process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float, memory: int) -> Iterator[None]:
    """End this process when the block takes more than `seconds` of processor time; refuse `memory` further bytes.

    The end is that of a signal, whatever code runs; memory that is refused is a MemoryError. For worker processes
    only, whose death is noticed. Without effect on Windows, which has neither.
    """
    if sys.platform == "win32":
        yield
        return
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = _used() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def _used() -> int:
    """Address space of this process in bytes; 0 where the system does not tell."""
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # macOS, which does not keep to this limit either
        return 1 << 40
