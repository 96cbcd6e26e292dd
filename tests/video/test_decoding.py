from __future__ import annotations

import builtins

import numpy as np
import pytest

from netvlad.errors import ImageError, NetvladError
from netvlad.video.decoding import decoded


def test_times_are_those_of_the_frames_however_uneven(make_video):
    ticks = [500, 510, 530, 535, 600]
    found = list(decoded(make_video("uneven.mkv", ticks)))
    assert np.allclose([t for t, _ in found], [0, 0.1, 0.3, 0.35, 1.0], atol=0.002)
    assert [round((float(image[40, 60].mean()) - 20) / 8) for _, image in found] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("turn", "bright"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (-90, (0, 1))])
def test_frames_are_turned_upright(make_video, turn, bright):
    """A phone held upright writes rows that are columns; the file says by how much to turn them back."""
    _, image = next(decoded(make_video("turned.mp4", [0, 10], turn)))
    assert image.shape == ((48, 64, 3) if turn % 180 == 0 else (64, 48, 3))
    height, width = image.shape[:2]
    corners = np.array([[image[y, x].mean() for x in (5, width - 6)] for y in (5, height - 6)])
    assert np.unravel_index(corners.argmax(), (2, 2)) == bright


def test_frames_so_far_apart(make_video):
    path = make_video("even.mkv", range(0, 100, 10))
    assert np.allclose([t for t, _ in decoded(path, every=0.3)], [0, 0.3, 0.6, 0.9], atol=0.002)


def test_a_corrupt_stream_loses_frames_and_not_the_run(make_video):
    path = make_video("broken.avi", range(0, 200, 10), codec="mjpeg")
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data) - 1) if data[i : i + 2] == b"\xff\xd8"]
    size = starts[6] - starts[5] - 8  # the next chunk has a header of 8 bytes
    data[starts[5] : starts[5] + size] = bytes(size)
    path.write_bytes(data)
    lost: dict[str, str] = {}
    found = list(decoded(path, lost=lost))
    assert len(found) == 19
    assert "1" in lost[str(path)]


def test_a_video_cut_off_gives_what_is_there(make_video):
    path = make_video("cut.mkv", range(0, 200, 10))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    times = [t for t, _ in decoded(path, lost={})]
    assert 3 < len(times) < 20
    assert times == sorted(times)


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100])
def test_refuses_what_is_no_video(tmp_path, make_video, data):
    path = tmp_path / "v.mp4"
    path.write_bytes(data)
    with pytest.raises(ImageError) as told:
        list(decoded(path))
    assert told.value.path == str(path)


def test_names_the_extra_where_it_is_missing(monkeypatch, tmp_path):
    whole = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "av":
            raise ImportError("No module named 'av'")
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NetvladError, match=r"netvlad\[video\]"):
        list(decoded(tmp_path / "v.mp4"))
