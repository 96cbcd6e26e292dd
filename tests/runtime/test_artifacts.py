from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.runtime import artifacts as saved
from netvlad.runtime.artifacts import read_arrays, save_arrays
from netvlad.runtime.locks import only_writer


def test_there_and_back(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([0.5], np.float32), "c": np.empty(0, "u2")}
    folder = save_arrays(tmp_path / "x" / "y", arrays, kind="test", facts={"n": 3})
    again, facts = read_arrays(folder, kind="test")
    assert facts["n"] == 3
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(again[name], array)
    assert sorted(f.name for f in folder.iterdir()) == [".lock", facts["file"], "card.json"]


@pytest.mark.parametrize("moment", ["os.replace", "write_json", "flush"])
@pytest.mark.parametrize("before", [True, False])
def test_an_interrupted_save_leaves_what_was_there(tmp_path, monkeypatch, moment, before):
    if before:
        save_arrays(tmp_path / "it", {"a": np.zeros(3)}, kind="test", facts={})

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"netvlad.runtime.artifacts.{moment}", stop)
        with pytest.raises(KeyboardInterrupt):
            save_arrays(tmp_path / "it", {"a": np.ones(3)}, kind="test", facts={})
    if before:
        assert read_arrays(tmp_path / "it", kind="test")[0]["a"].tolist() == [0, 0, 0]
    else:
        with pytest.raises(PlaceIndexError):
            read_arrays(tmp_path / "it", kind="test")
    save_arrays(tmp_path / "it", {"a": np.full(3, 2.0)}, kind="test", facts={})
    assert read_arrays(tmp_path / "it", kind="test")[0]["a"].tolist() == [2, 2, 2]
    assert len([f for f in (tmp_path / "it").iterdir() if f.suffix == ".safetensors"]) == 1


KILLED = """
import os, signal, sys
import numpy as np
from netvlad.runtime import artifacts as saved
calls, whole = [], os.replace
def dying(*given):
    calls.append(1)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    whole(*given)
os.replace = dying
saved.save_arrays(sys.argv[1], {"a": np.ones(3)}, kind="test", facts={})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed(tmp_path):
    save_arrays(tmp_path, {"a": np.zeros(3)}, kind="test", facts={})
    for call in (1, 2, 3):  # the arrays whole, the arrays named, the card
        ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(call)], timeout=60)
        assert ran.returncode == -signal.SIGKILL
        assert read_arrays(tmp_path, kind="test")[0]["a"].tolist() == [0, 0, 0]
    save_arrays(tmp_path, {"a": np.ones(3)}, kind="test", facts={})
    assert read_arrays(tmp_path, kind="test")[0]["a"].tolist() == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 3


def test_one_writer_at_a_time(tmp_path):
    with only_writer(tmp_path), pytest.raises(NetvladError, match="another process"):
        save_arrays(tmp_path, {"a": np.zeros(3)}, kind="test", facts={})


def test_the_card_is_the_last_step(tmp_path, monkeypatch):
    """Once the card is there so is all it names, though the old file has not gone yet."""
    save_arrays(tmp_path, {"a": np.zeros(3)}, kind="test", facts={})
    whole = saved.write_json

    def die_after(*given):
        whole(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(saved, "write_json", die_after)
    with pytest.raises(KeyboardInterrupt):
        save_arrays(tmp_path, {"a": np.ones(3)}, kind="test", facts={})
    assert read_arrays(tmp_path, kind="test")[0]["a"].tolist() == [1, 1, 1]


def test_what_is_not_ours_is_left_alone(tmp_path):
    save_arrays(tmp_path / "tree", {"a": np.zeros(1)}, kind="tree", facts={})
    (tmp_path / "file").write_text("x")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_text("x")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "card.json").write_text("[1]")
    for name in ("tree", "file", "model", "odd"):
        with pytest.raises(PlaceIndexError, match="is there already and is not a list"):
            save_arrays(tmp_path / name, {"a": np.zeros(1)}, kind="list", facts={})
    assert read_arrays(tmp_path / "tree", kind="tree")[0]["a"].tolist() == [0]
    (tmp_path / "empty").mkdir()
    save_arrays(tmp_path / "empty", {"a": np.zeros(1)}, kind="list", facts={})


def test_what_is_broken_is_refused(tmp_path):
    def fresh():
        folder = save_arrays(tmp_path / "it", {"a": np.arange(100)}, kind="test", facts={})
        return folder, next(folder.glob("*.safetensors"))

    folder, file = fresh()
    with pytest.raises(PlaceIndexError, match="is a test of format 1; a tree of format 1 is wanted"):
        read_arrays(folder, kind="tree")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(PlaceIndexError, match="checksum differs"):
        read_arrays(folder, kind="test")
    file.unlink()
    with pytest.raises(PlaceIndexError, match="cannot be read"):
        read_arrays(folder, kind="test")
    folder, file = fresh()
    card = json.loads((folder / "card.json").read_text())
    for change in ({"format": 2}, {"file": "../elsewhere"}, {"file": None}, {"checksum": None}):
        (folder / "card.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(PlaceIndexError):
            read_arrays(folder, kind="test")
    for text in ("", "[1]", "\x00"):
        (folder / "card.json").write_text(text)
        with pytest.raises(PlaceIndexError, match=r"card\.json"):
            read_arrays(folder, kind="test")
