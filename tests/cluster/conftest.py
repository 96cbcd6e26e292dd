"""A cluster on this machine, started once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netvlad as nv


@pytest.fixture(scope="session")
def ray(made_up_weights):
    """Ray on this machine, with two cores and what it takes for a GPU."""
    ray = pytest.importorskip("ray", reason="needs the extra cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(Path(nv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        )
        patch.setenv("RAY_worker_niceness", "0")  # 15 as Ray starts them: other tests run beside
        patch.setenv("RAY_raylet_start_wait_time_s", "300")  # of a machine that is busy
        ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()
