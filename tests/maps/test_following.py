"""A map that follows photos to which anything happens, killed at any moment, ends as a plain dictionary says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netvlad

# one process imports all that is needed and forks: threads of Lance do not survive that
TRIES = """
import sys
from pathlib import Path
import faiss, lance, numpy as np, pandas, pyarrow.dataset, scipy.optimize
import fixtures.rankers, netvlad.maps.check, netvlad.maps.index
from soak import following

following.ROUNDS = 3
killed = 0
for seed in map(int, sys.argv[2:]):
    here = Path(sys.argv[1]) / str(seed)
    here.mkdir()
    killed += following.attempt(here, here, np.random.default_rng(seed)).count
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_it_follows(tmp_path):
    paths = os.pathsep.join([str(Path(netvlad.__file__).parents[1]), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", TRIES, tmp_path, "10"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400, env={**os.environ, "PYTHONPATH": paths})
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 0
