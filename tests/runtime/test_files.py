from __future__ import annotations

import json

import pytest

from netvlad.runtime.files import atomic, write_json, write_text


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
