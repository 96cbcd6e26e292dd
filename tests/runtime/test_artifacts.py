from __future__ import annotations

import hashlib
import json
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

from netvlad.errors import ModelError, NetvladError, PlaceIndexError
from netvlad.runtime import artifacts as saved
from netvlad.runtime.artifacts import digest, read_artifact, write_in_place, write_versioned
from netvlad.runtime.locks import only_writer


def save_arrays(folder, arrays, *, kind, facts):
    return write_versioned(folder, arrays, kind=kind, facts=facts, error=PlaceIndexError)


def read_arrays(folder, *, kind):
    return read_artifact(folder, kind=kind, error=PlaceIndexError)


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
from netvlad.errors import NetvladError
from netvlad.runtime import artifacts as saved
calls, whole = [], os.replace
def dying(*given):
    calls.append(1)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    whole(*given)
os.replace = dying
saved.write_versioned(sys.argv[1], {"a": np.ones(3)}, kind="test", facts={}, error=NetvladError)
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
    with pytest.raises(PlaceIndexError, match="is a 'test' of format 1; this version reads format 1 of tree"):
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


# -- in place -------------------------------------------------------------------------------------------------------


def in_place(folder, value: float = 1.0):
    arrays = {"a": np.full((2, 3), value, np.float32), "n": np.array(4)}
    return write_in_place(folder, arrays, kind="test", facts={"architecture": {"b": 1}, "note": "x"})


def test_in_place_and_back(tmp_path):
    folder = in_place(tmp_path / "x")
    assert sorted(f.name for f in folder.iterdir()) == ["card.json", "model.safetensors"]
    arrays, card = read_artifact(folder, kind="test", error=ModelError)
    assert (card["format"], card["note"], "file" in card) == (1, "x", False)
    np.testing.assert_array_equal(arrays["a"], np.ones((2, 3)))
    assert (arrays["n"].shape, arrays["n"].dtype, int(arrays["n"])) == ((), np.int64, 4)
    in_place(folder, 2.0)
    assert read_artifact(folder, kind="test", error=ModelError)[0]["a"][0, 0] == 2


def test_the_digest_by_hand():
    arrays = {"b": np.array([1.5], np.float32), "a": np.array(2)}
    expected = hashlib.sha256(b'{"k": 1, "z": null}')
    expected.update(b"a torch.int64 ()" + struct.pack("<q", 2))
    expected.update(b"b torch.float32 (1,)" + struct.pack("<f", 1.5))
    assert digest({"z": None, "k": 1}, arrays) == expected.hexdigest()


def test_files_of_two_writes_are_refused(tmp_path):
    folder, other = in_place(tmp_path / "x"), in_place(tmp_path / "y", 2.0)
    (other / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors: is not the file that card\.json describes") as error:
        read_artifact(folder, kind="test", error=ModelError)
    assert error.value.path == str(folder / "model.safetensors")


@pytest.mark.parametrize("key", ["architecture", "checksum"])
def test_a_card_that_lacks_an_entry(tmp_path, key):
    folder = in_place(tmp_path)
    card = json.loads((folder / "card.json").read_text())
    del card[key]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"card\.json: lacks an entry \('{key}'\)"):
        read_artifact(folder, kind="test", error=ModelError)
