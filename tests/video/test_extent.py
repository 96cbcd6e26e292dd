from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import NetvladError
from netvlad.video.extent import expected, started
from netvlad.video.frames import read_frames


def listing(folder, times):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "a.png")
    (folder / "list.txt").write_text("\n".join(f"{t} a.png" for t in times))
    return folder / "list.txt"


@pytest.mark.parametrize("every", [None, 0.25, 0.3, 100])
def test_as_many_frames_as_are_read(tmp_path, every):
    source = listing(tmp_path, np.arange(20) / 10 + 7)
    assert expected(source, every) == len(list(read_frames(source, every=every)))


@pytest.mark.parametrize(("name", "every", "count"), [("v.mp4", None, 20), ("v.mkv", None, 20), ("v.mp4", 0.05, 4)])
def test_about_as_many_frames_as_a_video_says(make_video, name, every, count):
    assert abs(expected(make_video(name, range(20)), every) - count) <= 1


def test_times_since_1970_are_dates(tmp_path):
    assert started(listing(tmp_path, [1305031910.76])) == datetime(1970, 1, 1)
    assert started(listing(tmp_path, [0, 0.1])) is None
    assert started(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2024-05-04T10:20:30.000000Z", datetime(2024, 5, 4, 10, 20, 30)),
        ("2024-05-04T10:20:30+02:00", datetime(2024, 5, 4, 8, 20, 30)),
        ("1904-01-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_a_video_says_when_it_was_made(make_video, text, start):
    metadata = {} if text is None else {"creation_time": text}
    assert started(make_video("dated.mp4", [0, 10], metadata=metadata)) == start


def test_refuses_what_is_not_there(tmp_path):
    for ask in (expected, started):
        with pytest.raises(NetvladError):
            ask(tmp_path / "absent.mp4")
