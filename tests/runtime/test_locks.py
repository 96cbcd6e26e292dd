from __future__ import annotations

import subprocess
import sys

import pytest

from netvlad.errors import NetvladError
from netvlad.runtime.locks import only_writer


def test_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "a.vpr"
    with only_writer(folder):
        with (
            pytest.raises(NetvladError, match=r"a\.vpr: another process is writing to this folder; wait"),
            only_writer(folder),
        ):
            pass
        with only_writer(tmp_path / "b.vpr"):  # another folder is free
            pass
    with only_writer(folder):
        pass


def test_an_error_lets_go_of_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), only_writer(tmp_path):
        raise KeyboardInterrupt
    with only_writer(tmp_path):
        pass


def test_a_killed_process_lets_go_of_it(tmp_path):
    script = f"""
import fcntl, time
file = open({str(tmp_path / ".lock")!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(NetvladError, match="another process"), only_writer(tmp_path):
            pass
        process.kill()
        process.wait()
    with only_writer(tmp_path):
        pass
