from __future__ import annotations

import os
import sys

import pytest
from typer.testing import CliRunner

from netvlad.cli.main import app
from netvlad.cli.outputs import out_file, out_folder, out_table
from netvlad.errors import NetvladError

COMMANDS = {
    "index": ["index", "none", "--out"],
    "train": ["train", "--places", "none", "--out"],
    "evaluate": ["evaluate", "--database", "none", "--queries", "none", "--out"],
    "compare": ["compare", "--database", "none", "--queries", "none", "--models", "m", "--out"],
    "fit": ["fit", "--places", "none", "--out"],
    "import-matconvnet": ["import-matconvnet", "none", "--out"],
    "cutouts": ["cutouts", "none", "--out"],
    "synthesise": ["synthesise", "none", "--out"],
    "demo": ["demo", "none", "--out"],
    "town": ["town", "build", "--out"],
    "datasets": ["datasets", "export", "pitts30k-test", "--root", "none", "--to"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_takes_no_results_is_told_before_the_work(tmp_path, command):
    (tmp_path / "file").touch()
    ran = CliRunner().invoke(app, [*COMMANDS[command], str(tmp_path / "file")])
    assert isinstance(ran.exception, NetvladError)
    assert ran.exception.path == str(tmp_path / "file")  # not that "none" does not exist


def test_places_that_are_there_or_can_be_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.csv").touch()
    for path in (tmp_path, tmp_path / "a" / "b" / "c", type(tmp_path)("."), type(tmp_path)("new")):
        assert out_folder(path) == out_table(path) == path
    for path in (tmp_path / "a" / "b.csv", tmp_path / "file.csv"):
        assert out_file(path) == out_table(path) == path
    assert out_folder(None) is out_file(None) is None


def test_names_that_no_file_can_have(tmp_path):
    (tmp_path / "file").touch()
    for check in (out_folder, out_file):
        for name in ("file/below", "file/b/c", "x" * 300, "x" * 250, "y/" * 3000 + "y"):
            with pytest.raises(NetvladError):
                check(tmp_path / name)
    with pytest.raises(NetvladError):
        out_file(tmp_path)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_text(tmp_path):
    with pytest.raises(NetvladError, match="no text"):
        out_folder(tmp_path / os.fsdecode(b"\xff.vpr"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    for check in (out_folder, out_file):
        with pytest.raises(NetvladError, match="permi"):
            check(tmp_path / "new")
    tmp_path.chmod(0o700)
