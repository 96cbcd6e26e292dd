"""A package from outside adds a describer, a pooling, a ranker, a benchmark and a loss."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "fixtures" / "plugin"
REQUIREMENTS = ("--no-deps", "--no-build-isolation", "--no-index")  # everything that it needs is here


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A fresh folder that the package is installed into by pip."""
    source = shutil.copytree(PLUGIN, tmp_path_factory.mktemp("source") / "plugin")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *REQUIREMENTS, "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture
def command(installed, made_up_weights, tmp_path):
    """command(*arguments, code=0) -> what `python -m netvlad` prints, with the package installed."""

    def run(*arguments: str, code: int = 0) -> str:
        path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "NETVLAD_WEIGHTS": str(made_up_weights)}
        ran = subprocess.run(
            [sys.executable, "-m", "netvlad", *arguments],
            capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300,
        )  # fmt: skip
        assert ran.returncode == code, ran.stderr
        return ran.stdout + ran.stderr

    return run


@pytest.fixture
def street(town, tmp_path) -> Path:
    """The benchmark's folder: the town's photos, of which two are asked for."""
    root = tmp_path / "street"
    root.mkdir()
    rows = []
    for i, photo in enumerate(sorted(town.glob("*.jpg"))):
        shutil.copy(photo, root / photo.name)
        rows.append({"file": photo.name, "lat": 31.26 + 1e-4 * i, "lon": 34.8, "asked": i in (3, 6)})
    (root / "street.json").write_text(json.dumps(rows))
    return root


def test_it_is_listed(command):
    assert "plug-street" in command("datasets")


def test_a_benchmark_judges_a_describer_a_pooling_and_a_ranker(command, street):
    names = ("plug-colours", "test_resnet-plugsum", "plug-reverse")
    models = [word for name in names for word in ("--model", name)]
    command("evaluate", "--benchmark", "plug-street", "--root", str(street), *models, "--out", "report")
    facts = json.loads((street.parent / "report" / "results.json").read_text())
    found = {method["name"]: method for method in facts["methods"]}
    assert set(found) == set(names)
    assert facts["counts"]["queries"] == 2
    # the last of the six database photos lies 11 m from the second query and 44 m from the first
    assert found["plug-reverse"]["recall"]["1"] == 0.5
    assert found["plug-colours"]["dim"] == 48


def test_a_loss_trains(command, town, tmp_path):
    settings = ("--loss", "plug-hinge", "--epochs", "1", "--positive-radius", "15", "--negative-radius", "30")
    command("train", "--places", str(town), "--model", "test_resnet-plugsum", "--out", "run", *settings)
    assert "loss: plug-hinge" in (tmp_path / "run" / "config.yaml").read_text()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_an_index_of_a_describer_that_cannot_be_saved_is_refused(command, town):
    ran = command("index", str(town), "--out", "map.vpr", "--model", "plug-colours", code=1)
    assert "plug-colours" in ran
    assert "Traceback" not in ran
