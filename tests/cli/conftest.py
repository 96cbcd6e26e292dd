"""The command, run in this process, and a small town to run it on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODEL = "test_resnet-max"


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def netvlad(weights, monkeypatch, capsys):
    """netvlad(*arguments) -> exit code, stdout and stderr of the command."""
    from netvlad.cli.main import main

    def run(*arguments) -> Ran:
        monkeypatch.setattr(sys, "argv", ["netvlad", *map(str, arguments)])
        capsys.readouterr()
        sys.stderr.reconfigure(errors="backslashreplace")  # as it is outside of pytest
        with pytest.raises(SystemExit) as end:
            main()
        return Ran(end.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def refused(netvlad):
    """refused(*arguments) -> the one line that an error is explained in."""

    def run(*arguments) -> str:
        ran = netvlad(*arguments)
        assert ran.code == 1
        assert ran.err.startswith("netvlad: ")
        assert ran.err.count("\n") == 1
        return ran.err.removeprefix("netvlad: ").rstrip("\n")

    return run


def draw(path: Path, rng: np.random.Generator) -> None:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((64, 48), Image.Resampling.BICUBIC).save(path, quality=95)


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Path:
    """A folder of 8 photos 11 m apart, with places.csv."""
    folder = tmp_path_factory.mktemp("town")
    rng = np.random.default_rng(0)
    rows = ["path,lat,lon,time,heading"]
    for i in range(8):
        draw(folder / f"{i}.jpg", rng)
        rows.append(f"{i}.jpg,{31.26 + 1e-4 * i:.4f},34.8,2025-12-22T10:00:{i:02d},{'' if i else 90}")
    (folder / "places.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def index(town, tmp_path_factory, made_up_weights) -> Path:
    """An index of the town; not to be written to."""
    import netvlad

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETVLAD_WEIGHTS", str(made_up_weights))
        made = netvlad.PlaceIndex.create(tmp_path_factory.mktemp("index") / "town.vpr", netvlad.load(MODEL))
    made.add(netvlad.read_places(town))
    return made.folder


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory) -> Path:
    """A folder of 3 other photos without positions."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rng = np.random.default_rng(1)
    for i in range(3):
        draw(folder / f"q{i}.jpg", rng)
    return folder
