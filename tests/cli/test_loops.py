from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from netvlad.cli.main import app
from netvlad.errors import NetvladError
from netvlad.loops.detector import LoopDetector
from netvlad.loops.geometry import WIDTH
from netvlad.runtime.kept_rows import KeptRows


@pytest.fixture(scope="module")
def round_drive(tmp_path_factory):
    """Fifteen places, driven over twice, one a second, in the layout of TUM, with poses."""
    folder = tmp_path_factory.mktemp("drive")
    lines, poses = [], []
    for t in range(30):
        rng = np.random.default_rng(t % 15)
        image = np.kron(rng.integers(0, 255, (9, 12, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        image = np.roll(image, t // 15, axis=1)
        Image.fromarray(image).save(folder / f"{t}.png")
        angle = 2 * np.pi * t / 15
        lines.append(f"{t} {t}.png")
        poses.append(f"{t} {9 * np.cos(angle)} {9 * np.sin(angle)} 0 0 0 0 1")
    (folder / "rgb.txt").write_text("\n".join(lines))
    (folder / "poses.txt").write_text("\n".join(poses))
    (folder / "camera.txt").write_text("120 120 59.5 44.5")
    return folder


def run(*args):
    return CliRunner().invoke(app, ["loops", *map(str, args)], catch_exceptions=False)


def test_writes_the_loops_of_a_drive(round_drive, tmp_path, weights, without_xfeat):
    given = ["--poses", round_drive / "poses.txt", "--camera", round_drive / "camera.txt", "--verify", "0"]
    found = run(round_drive, "--out", tmp_path, "--model", "test_resnet-netvlad", "--gap", "8", *given)
    assert found.exit_code == 0, found.output
    loops = json.loads((tmp_path / "loops.json").read_text())["loops"]
    assert all(loop["query_t"] - loop["match_t"] >= 8 for loop in loops)
    assert sum(loop["query"] - loop["match"] == 15 for loop in loops) >= 5
    assert (tmp_path / "loops.g2o").read_text().count("VERTEX_SE2") == 30
    assert np.loadtxt(tmp_path / "trajectory.tum").shape == (30, 8)
    page = (tmp_path / "loops.html").read_text()
    assert page.count("data:image/png") == 2
    assert "data:image/jpeg" in page


def test_a_run_that_was_stopped_goes_on(round_drive, tmp_path, weights, without_xfeat, monkeypatch):
    given = ["--model", "test_resnet-netvlad", "--gap", "8", "--camera", round_drive / "camera.txt"]
    assert run(round_drive, "--out", tmp_path / "whole", *given).exit_code == 0
    whole = LoopDetector.add

    def stopped(self, image, t):
        if t >= 25:
            raise NetvladError("stopped")
        return whole(self, image, t)

    monkeypatch.setattr(LoopDetector, "add", stopped)
    with pytest.raises(NetvladError, match="stopped"):
        run(round_drive, "--out", tmp_path / "two", *given)
    monkeypatch.setattr(LoopDetector, "add", whole)
    fitted, found_anew = [], []
    monkeypatch.setattr("netvlad.describe.fit.fit", fitted.append)
    put = KeptRows.put
    monkeypatch.setattr(KeptRows, "put", lambda self, key, row: found_anew.append(len(row)) or put(self, key, row))
    found = run(round_drive, "--out", tmp_path / "two", *given)
    assert found.exit_code == 0, found.output
    assert "25 frames are described" in found.output
    assert not fitted
    assert sum(width > WIDTH for width in found_anew) == 5
    for name in ("loops.json", "loops.g2o"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "whole" / name).read_text()
    assert not (tmp_path / "two" / "kept").exists()


@pytest.mark.parametrize("wrong", [["--sequence", "some"], ["--every", "0"], ["--poses", "absent.txt"]])
def test_refuses_what_makes_no_sense(round_drive, tmp_path, wrong):
    with suppress(NetvladError):  # main prints it
        assert run(round_drive, "--out", tmp_path, *wrong).exit_code == 2
    assert not list(tmp_path.iterdir())
