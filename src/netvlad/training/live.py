"""A line that says how training goes: loss, violating triplets, rate, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netvlad.runtime.progress import QUIET_SECONDS


@contextmanager
def live(total: int, done: int, rank: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Yields tell(n, text): n more of `total` queries are done; on a terminal a line that changes, else one now and
    then. Processes other than the first are silent."""
    if rank:
        yield lambda n, text: None
    elif sys.stderr.isatty():
        with _bar(total, done) as tell:
            yield tell
    else:
        yield _lines(total, done)


@contextmanager
def _bar(total: int, done: int) -> Iterator[Callable[[int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=120) as bar:
        task = bar.add_task("training", total=total, completed=done, rate="")

        def tell(n: int, text: str) -> None:
            bar.advance(task, n)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, description=text, rate=f"{speed:.1f} queries/s" if speed else "")

        yield tell


def _lines(total: int, done: int) -> Callable[[int, str], None]:
    start = said = time.monotonic()
    first = done

    def tell(n: int, text: str) -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        if now - said < QUIET_SECONDS:
            return
        said = now
        speed = (done - first) / (now - start)
        left = round((total - done) / speed)
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        print(f"training: {text}, {speed:.1f} queries/s, {clock} left", file=sys.stderr, flush=True)

    return tell
