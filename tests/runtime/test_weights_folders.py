from __future__ import annotations

import os

from netvlad.runtime.weights_folders import find_file, package_folder


def test_a_file_by_its_names(tmp_path, monkeypatch):
    folder, second = tmp_path / "first", tmp_path / "second"
    folder.mkdir()
    (second / "a.mat").mkdir(parents=True)
    (folder / "b.mat").write_bytes(b"")
    monkeypatch.setenv("NETVLAD_WEIGHTS", f"{folder}{os.pathsep}{second}")
    assert find_file(["a.mat", "b.mat"]) == second / "a.mat"  # the first name before the first folder
    assert find_file(["c.mat", "b.mat"]) == folder / "b.mat"
    assert find_file(["c.mat"]) is None
    monkeypatch.delenv("NETVLAD_WEIGHTS")
    assert find_file(["b.mat"]) is None


def test_the_folder_of_a_package(tmp_path, monkeypatch):
    (tmp_path / "only_weights").mkdir()
    (tmp_path / "only_weights" / "__init__.py").write_text("raise AssertionError('its code was run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("only_weights") == tmp_path / "only_weights"
    assert package_folder("no_such_package") is None
