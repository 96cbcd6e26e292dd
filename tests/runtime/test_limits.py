from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory hold on Linux")

AFTERWARDS = """
from netvlad.runtime.limits import at_most
with at_most({seconds}, {memory}):
    {inside}
sum(range(5_000_000))  # no limit is left
print("went on", len(bytearray(300 << 20)))
"""


def run(inside: str, seconds: float = 20, memory: int = 200 << 20) -> subprocess.CompletedProcess:
    code = AFTERWARDS.format(inside=inside, seconds=seconds, memory=memory)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_within_the_limits():
    assert run("bytearray(100 << 20)").stdout == f"went on {300 << 20}\n"


def test_memory_beyond_the_limit_is_refused():
    done = run("""
    try:
        bytearray(300 << 20)
        print("was given")
    except MemoryError:
        print("refused")""")
    assert done.stdout == f"refused\nwent on {300 << 20}\n"


def test_time_beyond_the_limit_ends_the_process():
    done = run("sum(range(10**12))", seconds=0.3)
    assert (done.returncode, done.stdout) == (-27, "")  # SIGPROF
