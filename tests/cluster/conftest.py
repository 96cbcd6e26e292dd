"""A cluster on this machine, started once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netvlad as nv


@pytest.fixture(scope="session")
def ray(made_up_weights):
    """Ray on this machine, with two cores."""
    ray = pytest.importorskip("ray", reason="needs the extra cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(Path(nv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        )
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()
