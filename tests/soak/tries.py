"""A try: one input made by damage, given to the code, and judged; in processes that may hang, crash and be killed."""

from __future__ import annotations

import os
import pickle
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HANG = 20.0  # seconds after which a try, or one command of it, counts as endless
MEMORY = 4 << 30  # bytes that a process may hold at most
MESSAGE = 4000  # characters that a message about one file may have at most
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


class Fault(Exception):
    """A promise that was broken. kind: "traceback", "hang", "crash", "silent difference", "unnamed" and so on."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


@dataclass(frozen=True)
class Done:
    """A try that held. how: the way it ended, for the table; count: what it counts for (kills of one folder)."""

    how: str
    count: int = 1


@dataclass(frozen=True)
class Area:
    """A kind of attack.

    share: part of the time that it gets. prepare(base) writes what its tries start from; areas with the same function
    share a folder. attempt(base, here, rng) makes one input in the empty folder `here` and returns a Done or raises a
    Fault. few: tries that the test suite makes. seconds: after which a try is a hang.
    """

    name: str
    share: float
    prepare: Callable[[Path], None]
    attempt: Callable[[Path, Path, np.random.Generator], Done]
    few: int = 1
    seconds: float = HANG
    needs: Callable[[], str] = field(default=lambda: "")  # why it cannot run here; empty where it can

    def base(self, out: Path) -> Path:
        """The folder of what its tries start from."""
        return out / "base" / self.prepare.__module__.rpartition(".")[2]


def draw(area: str, seed: int) -> np.random.Generator:
    """The random numbers of one try, which a replay draws again."""
    return np.random.default_rng([zlib.crc32(area.encode()), seed])


def judged(area: Area, base: Path, here: Path, seed: int) -> Done | Fault:
    """One try, in this process."""
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    try:
        done = area.attempt(base, here, draw(area.name, seed))
    except Fault as fault:
        return fault
    except BaseException:  # a panic of Rust is no Exception
        return Fault("traceback", traceback.format_exc())
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Fault("memory", f"{held / 2**30:.1f} GiB were held") if held > MEMORY else done


# -- processes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a forked process ended: its exit code (-9 for SIGKILL), what it printed, what its function returned."""

    code: int
    out: str
    err: str
    value: Any = None

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def forked(function: Callable[[], Any], here: Path, *, kill_after: float | None = None, seconds: float = HANG) -> Ended:
    """Run `function` in a fork of this process, which must not have started threads.

    kill_after: seconds until SIGKILL, if it has not ended by then. Raises Fault for a hang and for a crash.
    """
    names = [here / f".{stream}" for stream in ("stdout", "stderr", "value")]
    pid = os.fork()
    if not pid:
        _child(function, names)
    code = _wait(pid, seconds if kill_after is None else kill_after)
    hung = code is None and kill_after is None
    if code is None:
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out, err = (name.read_text("utf-8", "replace") if name.exists() else "" for name in names[:2])
    if hung:
        raise Fault("hang", f"no end after {seconds:.0f} s\n{err}")
    if code < 0 and not (code == -signal.SIGKILL and kill_after is not None):
        raise Fault("crash", f"ended by signal {-code}\n{err}")
    packed = names[2].read_bytes() if names[2].exists() else b""
    value = pickle.loads(packed) if packed and not code else None
    for name in names:
        name.unlink(missing_ok=True)
    return Ended(code, out, err, value)


def _child(function: Callable[[], Any], names: list[Path]) -> None:
    code = 1
    try:
        # before the function gives up rights or sets limits
        out, err, answer = (os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in names)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        value = function()
        os.write(answer, pickle.dumps(value))
        code = 0
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # a limit on the size of files holds for these too
                code = code or 1
        os._exit(code)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code of a child, None if it is still running after so many seconds."""
    end, pause = time.monotonic() + seconds, 0.0005
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.02)


def command(here: Path, *words: object, before: Callable[[], None] = lambda: None, **options: Any) -> Ended:
    """Run `netvlad WORDS` in a fork and check how it speaks: no traceback, one of its exit codes, printable text.

    before: called in the fork first, to set limits for instance.
    """

    def run() -> None:
        import torch

        from netvlad.cli.main import main

        torch.set_num_threads(1)
        sys.argv = ["netvlad", *map(str, words)]
        before()
        main()

    ended = forked(run, here, **options)
    if not ended.killed:
        check_speech(ended)
    return ended


def check_speech(ended: Ended) -> None:
    """Raise Fault for a traceback, a code that no command has, and control characters."""
    if "Traceback (most recent call last)" in ended.err or "panicked at" in ended.err:
        raise Fault("traceback", ended.err)
    if ended.code not in (0, 1, 2, 130) or (ended.code and not ended.err.strip()):
        raise Fault("unnamed", f"exit code {ended.code}, stderr {ended.err[:MESSAGE]!r}")
    for text in (ended.out, ended.err):
        if found := _CONTROL.search(text):
            raise Fault("control characters", repr(text[max(0, found.start() - 200) : found.end() + 200]))


def check_message(text: str) -> None:
    """Raise Fault for a reason that is empty or endless."""
    if not text.strip():
        raise Fault("unnamed", "an empty reason")
    if len(text) > MESSAGE:
        raise Fault("long message", f"{len(text)} characters: {text[:500]} ...")


@contextmanager
def heard(here: Path) -> Iterator[list[str]]:
    """What is said meanwhile, in a list filled at the end: warnings, and lines on stderr, native code's too."""
    said: list[str] = []
    file = here / ".heard"
    kept, to = os.dup(2), os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 2)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(to)
        said += [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning | ResourceWarning)]
        said += file.read_text("utf-8", "replace").splitlines()
        file.unlink()
