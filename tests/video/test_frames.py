from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError, NetvladError
from netvlad.video.frames import read_frames


def photos(folder: Path, names) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8)).save(folder / name)


def seen(source, **options):
    return [(round(f.t, 3), int(f.image.mean()), Path(f.name).name) for f in read_frames(source, **options)]


def test_a_folder_in_the_order_of_numbers(tmp_path):
    photos(tmp_path, ["f2.png", "f10.png", "f1.png"])
    assert seen(tmp_path) == [(0, 20, "f1.png"), (0.1, 0, "f2.png"), (0.2, 10, "f10.png")]
    assert [t for t, *_ in seen(tmp_path, rate=4)] == [0, 0.25, 0.5]
    assert [t for t, *_ in seen(tmp_path, rate=4, every=0.5)] == [0, 0.5]


def test_the_layout_of_tum(tmp_path):
    photos(tmp_path / "rgb", ["b.png", "a.png"])
    (tmp_path / "rgb.txt").write_text("# time frame\n1305.5 rgb/a.png\n1305.25 rgb/b.png\n\n")
    assert seen(tmp_path) == [(1305.25, 0, "b.png"), (1305.5, 10, "a.png")]


def test_the_layout_of_kitti(tmp_path):
    photos(tmp_path / "image_0", ["000000.png", "000001.png"])
    (tmp_path / "times.txt").write_text("0.0\n1.037e-01\n")
    assert [t for t, *_ in seen(tmp_path)] == [0, 0.104]
    (tmp_path / "times.txt").write_text("0.0\n")
    with pytest.raises(NetvladError, match="1 times for 2 frames"):
        seen(tmp_path)


def test_a_table_of_frames(tmp_path):
    photos(tmp_path, ["a.png", "b.png"])
    (tmp_path / "list.csv").write_text("path,t\nb.png,3\na.png,2.5\n")
    assert seen(tmp_path / "list.csv") == [(2.5, 0, "a.png"), (3, 10, "b.png")]
    (tmp_path / "list.csv").write_text("photo,when\nb.png,3\n")
    with pytest.raises(NetvladError, match="path and t"):
        seen(tmp_path / "list.csv")


@pytest.mark.parametrize("line", ["soon a.png", "3.5", "nan a.png"])
def test_names_the_line_that_cannot_be_read(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"1 a.png\n{line}\n")
    with pytest.raises(NetvladError, match="line 2"):
        seen(tmp_path / "list.txt")


def test_a_broken_frame_is_lost_alone(tmp_path):
    photos(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "b.png").write_bytes(b"broken")
    lost: dict[str, str] = {}
    assert [name for *_, name in seen(tmp_path, lost=lost)] == ["a.png", "c.png"]
    assert list(lost) == [str(tmp_path / "b.png")]


def test_a_video(make_video):
    path = make_video("drive.mkv", [0, 50, 100])
    assert [name for *_, name in seen(path)] == ["drive.mkv@0.000", "drive.mkv@0.500", "drive.mkv@1.000"]


def test_refuses_what_holds_no_frames(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    photos(tmp_path / "one", ["a.png"])
    for source in ("absent.mp4", "empty.txt", "one/a.png", ""):
        with pytest.raises(NetvladError):
            list(read_frames(tmp_path / source))
    (tmp_path / "one" / "a.png").write_bytes(b"broken")
    with pytest.raises(ImageError):
        list(read_frames(tmp_path / "one"))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"rate": -1}, {"every": float("nan")}])
def test_refuses_times_that_make_no_sense(tmp_path, wrong):
    with pytest.raises(NetvladError):
        read_frames(tmp_path, **wrong)
