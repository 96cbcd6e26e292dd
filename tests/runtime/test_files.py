from __future__ import annotations

import hashlib
import json
import os

import pytest

from netvlad.errors import PlacesError
from netvlad.runtime.files import atomic, flush, refuse_irregular, sha256, write_json, write_text


def test_a_new_file_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic(str(path)) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [f.name for f in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_was_written(tmp_path):
    def write():
        with atomic(tmp_path / "a.txt"):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_readers_open_file_stays_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old\n")
    with open(path, encoding="utf-8") as reader:
        write_text(path, "new, and longer\n")
        assert reader.read() == "old\n"
    assert path.read_bytes() == b"new, and longer\n"


def test_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"place": "Straße", "n": [1, 2.5, None]})
    assert path.read_bytes() == '{\n  "place": "Straße",\n  "n": [\n    1,\n    2.5,\n    null\n  ]\n}\n'.encode()
    assert json.loads(path.read_text(encoding="utf-8")) == {"place": "Straße", "n": [1, 2.5, None]}


@pytest.mark.parametrize("data", [float("nan"), float("inf"), {1, 2}])
def test_what_json_cannot_say_leaves_the_old_file(tmp_path, data):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"x": data})
    assert path.read_text() == "1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_files_and_folders_are_flushed(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "x")
    flushed = []
    monkeypatch.setattr("os.fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_ino))
    flush(tmp_path / "a", str(tmp_path))
    assert flushed == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # the first example of FIPS 180-2
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    data = os.urandom(3_000_000)
    (tmp_path / "b").write_bytes(data)
    assert sha256(tmp_path / "b") == hashlib.sha256(data).hexdigest()


def test_only_regular_files_up_to_a_size_pass(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"12345")
    refuse_irregular(tmp_path / "a.csv", most=5)
    for path, most in ((tmp_path / "a.csv", 4), (tmp_path, None), (tmp_path / "no.csv", None), (os.devnull, None)):
        with pytest.raises(PlacesError):
            refuse_irregular(path, error=PlacesError, most=most)
    with pytest.raises(PlacesError):
        refuse_irregular("a\0b", error=PlacesError)
