from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import netvlad

ROOT = Path(__file__).parents[1]


def test_the_models_are_on_torch_hub(weights):
    entries = [name for name, value in runpy.run_path(str(ROOT / "hubconf.py")).items() if callable(value)]
    assert [name for name in entries if not name.startswith("_")] == ["netvlad"]
    model = torch.hub.load(str(ROOT), "netvlad", "test_resnet-netvlad", clusters=5, source="local")
    assert (model.name, model.clusters) == ("test_resnet-netvlad", 5)
    assert isinstance(model, netvlad.Describer)


def test_without_the_package_installed(weights, tmp_path):
    """From a copy of the repository, in a process that knows no other one."""
    (tmp_path / "hubconf.py").write_text((ROOT / "hubconf.py").read_text())
    shutil.copytree(Path(netvlad.__file__).parent, tmp_path / "src" / "netvlad")
    code = f"""
import json, sys, numpy, torch
sys.path = [p for p in sys.path if not p.endswith("src")]
model = torch.hub.load({str(tmp_path)!r}, "netvlad", "test_resnet-gem", source="local")
vectors = model.describe([numpy.full((64, 64, 3), 99, numpy.uint8)])
print(json.dumps([sys.modules["netvlad"].__file__, vectors.tolist()]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    file, vectors = json.loads(ran.stdout.splitlines()[-1])
    assert file.startswith(str(tmp_path))
    expected = netvlad.load("test_resnet-gem").describe([np.full((64, 64, 3), 99, np.uint8)])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
