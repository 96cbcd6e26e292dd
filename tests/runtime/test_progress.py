from __future__ import annotations

import io
import re
import sys

import pytest

from netvlad.runtime import progress as module
from netvlad.runtime.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def test_lines_with_rate_and_time_left(capsys, clock):
    with progress("describing", 1000) as advance:
        clock.now += 10
        advance(100)  # too soon for a line
        clock.now += 10
        advance(100)  # 200 in 20 s: 10 a second, 800 left
        clock.now += 19
        advance(1)
        clock.now += 1
        advance(299)  # 500 in 40 s: 12.5 a second, 500 left
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "describing: 200/1000, 10.0 photos/s, 1:20 left",
        "describing: 500/1000, 12.5 photos/s, 0:40 left",
    ]


def test_other_units_and_long_times(capsys, clock):
    with progress("searching", 10_000, unit="queries") as advance:
        clock.now += 100
        advance(50)  # 2 seconds each: 9,950 queries take 5:31:40
    assert capsys.readouterr().err == "searching: 50/10000, 0.5 queries/s, 5:31:40 left\n"


def test_short_work_says_nothing(capsys, clock):
    with progress("describing", 3) as advance:
        for _ in range(3):
            clock.now += 6
            advance(1)
    with progress("describing", 0):
        pass
    assert capsys.readouterr() == ("", "")


def test_nothing_done_yet(capsys, clock):
    with progress("describing", 5) as advance:
        clock.now += 30
        advance(0)
    assert capsys.readouterr().err == "describing: 0/5, 0.0 photos/s\n"


def test_notes_and_what_an_earlier_run_did(capsys, clock):
    with progress("training", 1000, "queries", done=400) as advance:
        for loss in (3, 2):
            clock.now += 20
            advance(100, f"loss 0.{loss}")  # 100 in 20 s: nothing is known of how long the 400 took
    assert capsys.readouterr().err.splitlines() == [
        "training: loss 0.3, 5.0 queries/s, 1:40 left",
        "training: loss 0.2, 5.0 queries/s, 1:20 left",
    ]


def test_quiet(capsys, clock):
    with progress("training", 10, quiet=True) as advance:
        clock.now += 100
        advance(10, "epoch 1/1")
    assert capsys.readouterr() == ("", "")


def test_an_error_inside_is_not_swallowed(clock):
    def work():
        with progress("describing", 5):
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        work()


def on_terminal(monkeypatch) -> io.StringIO:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress("describing", 40) as advance:
        for _ in range(4):
            advance(10)
    drawn = terminal.getvalue()
    assert "describing" in drawn
    assert "40/40" in drawn
    assert "photos/s" in drawn


def test_a_bar_with_notes(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress("training", 10, "queries") as advance:
        advance(4, "epoch 1/2, loss 0.5")
        advance(6, "epoch 2/2, loss 0.25")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "epoch 2/2, loss 0.25" in drawn
    assert "queries/s" in drawn
