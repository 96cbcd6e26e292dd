from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import torch

import netvlad

ROOT = Path(__file__).parents[1]


def test_the_models_are_on_torch_hub(weights):
    entries = [name for name, value in runpy.run_path(str(ROOT / "hubconf.py")).items() if callable(value)]
    assert [name for name in entries if not name.startswith("_")] == ["netvlad"]
    model = torch.hub.load(str(ROOT), "netvlad", "test_resnet-netvlad", clusters=5, source="local")
    assert (model.name, model.clusters) == ("test_resnet-netvlad", 5)
    assert isinstance(model, netvlad.Describer)


def test_without_the_package_installed(tmp_path):
    """The package beside hubconf.py is found, and stays so for what it imports later."""
    shutil.copy(ROOT / "hubconf.py", tmp_path)
    (tmp_path / "src" / "netvlad").mkdir(parents=True)
    (tmp_path / "src" / "netvlad" / "later.py").touch()
    (tmp_path / "src" / "netvlad" / "__init__.py").write_text("def load(*given, **options): return given, options")
    code = "import runpy, sys\nprint(runpy.run_path(sys.argv[1])['netvlad']('x', dim=3))\nimport netvlad.later"
    isolated = [sys.executable, "-I", "-S", "-c", code]  # without what is installed here
    ran = subprocess.run([*isolated, str(tmp_path / "hubconf.py")], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "(('x',), {'dim': 3})"
