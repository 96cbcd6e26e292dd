from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from netvlad.cli.limits import explained
from netvlad.pretrained import listing


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "pip install torch"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk is full"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ulimit -n"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "ulimit -f"),
        (OSError("LanceError(IO): No space left on device (os error 28)"), "disk is full"),
    ],
)
def test_what_the_machine_refuses_is_told(netvlad, monkeypatch, error, word):
    def refuse():
        raise error

    monkeypatch.setattr(listing, "listed_backbones", refuse)
    ran = netvlad("models")
    assert ran.code == 1
    assert word in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        ValueError("bad"),
        KeyError("file"),
        ModuleNotFoundError("x", name="netvlad.x"),
    ],
)
def test_errors_of_the_program_are_left_alone(error):
    assert explained(error) is None


@pytest.mark.skipif(os.name == "nt", reason="no limits of processes")
@pytest.mark.parametrize(("limit", "word"), [("RLIMIT_FSIZE", "ulimit -f"), ("RLIMIT_NOFILE", "ulimit -n")])
def test_limits_of_a_process(tmp_path, limit, word):
    rows = "".join(f"photos/{i}.jpg,31.{i:04},34.8\n" for i in range(2000))
    for name in ("east_day.csv", "east_night.csv"):
        (tmp_path / name).write_text("path,lat,lon\n" + rows)
    (tmp_path / "photos").mkdir()
    for i in range(2000):
        (tmp_path / "photos" / f"{i}.jpg").touch()
    out = tmp_path / "t.csv"
    script = f"""
import resource, sys
from netvlad.cli import main
import netvlad.benchmarks.export, netvlad.cli.common, pyarrow, pyarrow.parquet, pyproj, scipy.spatial
from netvlad.benchmarks import benchmark
soft = 4000 if {limit!r} == "RLIMIT_FSIZE" else 3
resource.setrlimit(resource.{limit}, (soft, resource.getrlimit(resource.{limit})[1]))
sys.argv = ["netvlad", "datasets", "export", "campus-day-night", "--root", *{[str(tmp_path), "--to", str(out)]!r}]
main.main()
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1), ran.stderr
    assert word in ran.stderr
    assert not out.exists()
