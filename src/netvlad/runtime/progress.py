"""Progress of long work on stderr: count, rate and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

QUIET_SECONDS = 20.0  # between two lines where there is no terminal to draw a bar on


class Advance(Protocol):
    """Counts `n` more as done; `note` is shown in place of the count."""

    def __call__(self, n: int, note: str = "") -> None: ...


@contextmanager
def progress(
    what: str, total: int | None, unit: str = "photos", *, done: int = 0, quiet: bool = False
) -> Iterator[Advance]:
    """Yield advance(n, note=""): a bar on a terminal; elsewhere a line every QUIET_SECONDS, none for short work.

    total: None where it is not known. done: how many of `total` were done by an earlier run. quiet: show nothing, as
    all but one of several processes do.
    """
    if quiet:
        yield lambda n, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, unit, done) as advance:
            yield advance
    else:
        yield _lines(what, total, unit, done)


@contextmanager
def _bar(what: str, total: int | None, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),  # as wide as the rest leaves it
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True, speed_estimate_period=120) as bar:
        task = bar.add_task(what, total=total, completed=done, rate="")

        def advance(n: int, note: str = "") -> None:
            bar.advance(task, n)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, description=note or what, rate=f"{speed:.1f} {unit}/s" if speed else "")

        yield advance


def _lines(what: str, total: int | None, unit: str, done: int) -> Advance:
    start = said = time.monotonic()
    first = done

    def advance(n: int, note: str = "") -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        if now - said < QUIET_SECONDS:
            return
        said = now
        rate = (done - first) / (now - start)
        left = f", {_clock(max(total - done, 0) / rate)} left" if rate and total else ""
        count = f"{done}/{total}" if total else f"{done}"
        print(f"{what}: {note or count}, {rate:.1f} {unit}/s{left}", file=sys.stderr, flush=True)

    return advance


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
