"""Progress of long work on stderr: count, rate and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 20.0  # between two lines where there is no terminal to draw a bar on


@contextmanager
def progress(what: str, total: int, unit: str = "photos") -> Iterator[Callable[[int], None]]:
    """Yields advance(n). On a terminal a bar; elsewhere a line now and then, none for short work."""
    if not sys.stderr.isatty():
        yield _lines(what, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=120) as bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(n: int) -> None:
            bar.advance(task, n)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, rate=f"{speed:.1f} {unit}/s" if speed else "")

        yield advance


def _lines(what: str, total: int, unit: str) -> Callable[[int], None]:
    start = said = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        if now - said < QUIET_SECONDS:
            return
        said = now
        rate = done / (now - start)
        left = (total - done) / rate if rate else float("inf")
        minutes, seconds = divmod(round(left), 60) if left < 1e8 else (0, 0)
        print(f"{what}: {done}/{total}, {rate:.1f} {unit}/s, {minutes}:{seconds:02d} left", file=sys.stderr, flush=True)

    return advance
