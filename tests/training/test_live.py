from __future__ import annotations

import re
import sys

from netvlad.training import live as module
from netvlad.training.live import live


def test_a_line_now_and_then(capsys, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with live(1000, 400) as tell:
        for _ in range(6):
            clock[0] += 10
            tell(50, "epoch 2/3, loss 0.0312")
    lines = capsys.readouterr().err.splitlines()
    # 50 queries in 10 s; of the 400 done before, nothing is known of how long they took
    assert lines == [
        "training: epoch 2/3, loss 0.0312, 5.0 queries/s, 0:01:40 left",
        "training: epoch 2/3, loss 0.0312, 5.0 queries/s, 0:01:20 left",
        "training: epoch 2/3, loss 0.0312, 5.0 queries/s, 0:01:00 left",
    ]


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    with live(10, 0) as tell:
        tell(4, "epoch 1/2, loss 0.5")
        tell(6, "epoch 2/2, loss 0.25")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "epoch 2/2, loss 0.25" in drawn
    assert "queries/s" in drawn


def test_other_processes_are_silent(capsys):
    with live(10, 0, rank=1) as tell:
        tell(10, "epoch 1/1")
    assert capsys.readouterr().err == ""
