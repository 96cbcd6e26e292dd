from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.runtime.kept_rows import KeptRows, content_key, kept_until_done

KEYS = [content_key(bytes([i])) for i in range(4)]


@pytest.fixture
def file(tmp_path):
    with KeptRows(tmp_path / "rows", "m", 3) as rows:
        for i, key in enumerate(KEYS):
            rows.put(key, np.arange(3, dtype=np.float32) + i)
    return tmp_path / "rows"


def held(file, about="m", width=3):
    with KeptRows(file, about, width) as rows:
        return [None if (row := rows.get(key)) is None else row.tolist() for key in KEYS]


def test_rows_are_there_when_the_file_is_opened_again(file):
    assert held(file) == [[i, i + 1, i + 2] for i in range(4)]
    with KeptRows(file, "m", 3) as rows:
        assert rows.get(content_key(b"other")) is None
        rows.put(content_key(b"other"), np.zeros(3))
        assert len(rows) == 5
        assert rows.get(KEYS[1]).tolist() == [1, 2, 3]


def test_what_was_cut_off_or_damaged_begins_anew_from_there(file):
    data = file.read_bytes()
    record = 16 + 12 + 8
    for cut in (1, record - 1, record, record + 1, len(data) - 3, len(data)):
        file.write_bytes(data[: len(data) - cut])
        left = held(file)
        assert sum(row is not None for row in left) == (0 if cut > 4 * record else 4 - -(-cut // record))
        with KeptRows(file, "m", 3) as rows:
            rows.put(KEYS[3], np.ones(3))
        assert held(file)[3] == [1, 1, 1]
    torn = bytearray(data)
    torn[-2 * record + 20] ^= 1
    file.write_bytes(torn)
    assert held(file)[2:] == [None, None]


@pytest.mark.parametrize("other", [{"about": "n"}, {"width": 2}])
def test_a_file_about_something_else_is_not_used(file, other):
    assert held(file, **other) == [None] * 4
    assert held(file) == [None] * 4


def test_keys_tell_contents_apart():
    image = np.arange(12, dtype=np.uint8)
    keys = [content_key(image.reshape(shape)) for shape in ((3, 4), (4, 3))]
    keys += [content_key(b"ab", b"c"), content_key(b"a", b"bc"), content_key(image.astype(np.int8))]
    assert len(set(keys)) == 5
    assert content_key(image.reshape(3, 4)[:, ::2]) == content_key(image.reshape(3, 4)[:, ::2].copy())


def test_a_folder_stays_until_the_work_is_done(tmp_path):
    folder = tmp_path / "kept"

    def stopped():
        with kept_until_done(folder, {"a": 1}):
            (folder / "half").write_text("done")
            (folder / "model").mkdir()
            raise KeyboardInterrupt

    def twice():
        with kept_until_done(folder, {"a": 1}):
            assert (folder / "half").read_text() == "done"
            with kept_until_done(folder, {"a": 1}):
                pass

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with pytest.raises(NetvladError):
        twice()
    with kept_until_done(folder, {"a": 2}):
        assert not (folder / "half").exists()
        assert not (folder / "model").exists()
    assert not folder.exists()
