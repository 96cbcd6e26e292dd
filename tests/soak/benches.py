"""Processes that do tries one after another, watched from outside: a hang or a crash ends one, and another goes on."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from soak.tries import Area, Done, Fault, judged


@dataclass(frozen=True)
class Result:
    """One try that has ended."""

    area: str
    seed: int
    seconds: float
    end: Done | Fault


class Bench:
    """A forked process that does tries of one area from a seed on, for so many seconds or tries."""

    def __init__(self, area: Area, out: Path, first: int, seconds: float, tries: int = sys.maxsize) -> None:
        self.area, self.out, self.next, self.began = area, out, first, time.monotonic()
        self.pipe, write = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.pipe)
            os.setpgid(0, 0)  # what it starts is ended with it
            self._work(write, seconds, tries)
        os.close(write)

    @property
    def here(self) -> Path:
        """The folder of the try that is on its way."""
        return folder_of(self.out, self.area, self.next)

    def _work(self, write: int, seconds: float, tries: int) -> None:
        code = 1
        try:
            os.dup2(os.open(self.out / "noise.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # of C libraries
            end = time.monotonic() + seconds
            seed, last = self.next, self.next + tries
            while seed < last and time.monotonic() < end:
                here = folder_of(self.out, self.area, seed)
                done = judged(self.area, self.area.base(self.out), here, seed)
                if isinstance(done, Done):
                    shutil.rmtree(here, ignore_errors=True)
                packed = pickle.dumps(done if isinstance(done, Done) else (done.kind, _cut(done.detail)))
                os.write(write, len(packed).to_bytes(4, "big") + packed)
                seed += 1
            code = 0
        finally:
            os._exit(code)

    def results(self) -> Iterator[Result]:
        """Results that have arrived."""
        while select.select([self.pipe], [], [], 0)[0]:
            size = os.read(self.pipe, 4)
            if not size:
                return
            data, n = b"", int.from_bytes(size, "big")
            while len(data) < n:
                data += os.read(self.pipe, n - len(data))
            value = pickle.loads(data)
            yield self._ended(value if isinstance(value, Done) else Fault(*value))

    def _ended(self, end: Done | Fault) -> Result:
        now = time.monotonic()
        result = Result(self.area.name, self.next, now - self.began, end)
        self.next, self.began = self.next + 1, now
        return result

    def ended(self) -> Result | bool:
        """True once the process is over; the Result of its last try if that hung or crashed."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.kill(waited=True)
            code = os.waitstatus_to_exitcode(status)
            return self._ended(Fault("crash", f"the process ended with {code}")) if code else True
        if time.monotonic() - self.began > self.area.seconds:
            self.kill()
            return self._ended(Fault("hang", f"no end after {self.area.seconds:.0f} s"))
        return False

    def kill(self, waited: bool = False) -> None:
        """End the process and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if not waited:
            os.waitpid(self.pid, 0)
        os.close(self.pipe)


def _cut(text: str, most: int = 5000) -> str:
    """Its beginning and its end: a pipe holds 64 kB, and a failure's detail may be endless."""
    return text if len(text) <= 2 * most else f"{text[:most]}\n...\n{text[-most:]}"


def folder_of(out: Path, area: Area, seed: int) -> Path:
    """Where a try works; it stays where the try fails."""
    return out / "work" / f"{area.name}-{seed}"
