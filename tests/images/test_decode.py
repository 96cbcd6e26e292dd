from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netvlad
from netvlad.images.decode import CHUNK, FEW, decode_photos
from netvlad.images.read import read_image


def flat(chunks) -> list:
    return [photo for chunk in chunks for photo in chunk]


def same(a, b) -> bool:
    return (a.row, a.digest, a.reason) == (b.row, b.digest, b.reason) and np.array_equal(a.image, b.image)


@pytest.fixture
def many(photos) -> list[str]:
    """Three chunks, the last not full: 70 names of 7 photos."""
    return photos(7, (40, 30)) * 10


def test_in_order_and_in_chunks(many):
    chunks = list(decode_photos(many, workers=0))
    assert (CHUNK, FEW) == (32, 16)
    assert [len(chunk) for chunk in chunks] == [32, 32, 6]
    assert [photo.row for photo in flat(chunks)] == list(range(70))
    for photo in flat(chunks):
        assert photo.reason == ""
        np.testing.assert_array_equal(photo.image, read_image(many[photo.row]))


def test_digests_are_those_of_the_files(photos):
    paths = photos(3)
    for photo in flat(decode_photos(paths, resize=20)):
        assert max(photo.image.shape) == 20
        assert photo.digest == hashlib.blake2b(Path(paths[photo.row]).read_bytes(), digest_size=16).digest()
    assert len({photo.digest for photo in flat(decode_photos(paths))}) == 3


def test_workers_give_the_same(many, tmp_path):
    many[5], many[40] = str(tmp_path / "nowhere.jpg"), str(tmp_path)
    here = list(decode_photos(many, resize=32, workers=0))
    there = list(decode_photos(many, resize=32, workers=2))
    assert [len(chunk) for chunk in there] == [len(chunk) for chunk in here]
    assert all(same(a, b) for a, b in zip(flat(here), flat(there), strict=True))


@pytest.mark.parametrize(
    ("rows", "chunks"),
    [
        ([], []),
        ([69], [[69]]),
        ([64, 3, 31, 32, 0], [[0, 3, 31], [32], [64]]),  # what shares a chunk does not depend on what is left out
        (range(30, 36), [[30, 31], [32, 33, 34, 35]]),
        (np.array([1, 0]), [[0, 1]]),
    ],
)
def test_only_some_rows(many, rows, chunks):
    found = list(decode_photos(many, rows=rows))
    assert [[photo.row for photo in chunk] for chunk in found] == chunks
    for photo in flat(found):
        np.testing.assert_array_equal(photo.image, read_image(many[photo.row]))


def test_no_photos():
    assert list(decode_photos([])) == []
    assert list(decode_photos([], workers=2)) == []


def test_bad_files_arrive_with_their_reason(photos, tmp_path):
    good = photos(1)[0]
    contents = {"empty.jpg": b"", "text.jpg": b"no photo", "half.jpg": Path(good).read_bytes()[:-900]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    bad = [str(tmp_path / name) for name in contents]
    out = flat(decode_photos([*bad, str(tmp_path / "nowhere.jpg"), str(tmp_path), "a\0b.jpg", good]))
    assert [photo.image is None for photo in out] == [True] * 6 + [False]
    assert out[0].reason == "is empty (0 bytes)"
    assert out[1].reason == "is not an image in a format Pillow can read"
    assert out[2].reason.startswith("cannot be decoded (image file is truncated")
    assert out[3].reason == "no such file"
    assert out[4].reason == "is a folder, not a photo"
    assert out[5].reason.startswith("is not a path (")  # Python says it in its own words
    # a content that cannot be decoded is known again all the same; where there is none there is no digest
    for photo, content in zip(out, contents.values(), strict=False):
        assert photo.digest == hashlib.blake2b(content, digest_size=16).digest()
    assert [photo.digest for photo in out[3:6]] == [b"", b"", b""]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(photos):
    path = photos(1)[0]
    Path(path).chmod(0)
    assert flat(decode_photos([path]))[0].reason == "Permission denied"


@pytest.mark.parametrize("workers", [0, 1])
def test_undefined_pixels_arrive_where_they_are_asked_for(photos, tmp_path, workers):
    view, plain = tmp_path / "view.png", photos(1)[0]
    pixels = np.dstack([read_image(plain), np.full((72, 96), 255, dtype=np.uint8)])
    pixels[10:30, 20:40, 3] = 0
    Image.fromarray(pixels).save(view)
    with_alpha = flat(decode_photos([str(view), plain], resize=40, alpha=True, workers=workers))
    without = flat(decode_photos([str(view), plain], resize=40, workers=workers))
    assert [photo.image.shape for photo in with_alpha] == [(30, 40, 4), (30, 40, 3)]
    assert [photo.image.shape for photo in without] == [(30, 40, 3), (30, 40, 3)]
    np.testing.assert_array_equal(with_alpha[0].image, read_image(view, resize=40, alpha=True))
    np.testing.assert_array_equal(without[0].image, read_image(view, resize=40))


# -- workers --------------------------------------------------------------------------------------------------------


def killer():
    """A path whose opening takes the process down, as a decoder does that crashes on a file."""

    class Killer(os.PathLike):  # local, so that it reaches the workers by value and not by import
        def __fspath__(self) -> str:
            os.kill(os.getpid(), signal.SIGKILL)

    return Killer()


def ours() -> set[int]:
    return {child.pid for child in multiprocessing.active_children()}


def assert_gone(before: set[int]) -> None:
    for _ in range(100):
        if ours() <= before:
            return
        time.sleep(0.05)
    raise AssertionError(f"worker processes are left: {ours() - before}")


@pytest.mark.parametrize("slow", [0.0, 0.4], ids=["quick reader", "slow reader"])
def test_a_crashing_decoder_loses_one_photo(many, slow):
    # a slow reader comes back only after the workers died, when nothing more can be given to them
    many = many * 4
    rows = [0, 1, 32, 33, 34, 64, 100, 130, 131, 200]
    many[33] = killer()
    before, out = ours(), []
    for chunk in decode_photos(many, rows=rows, workers=1):
        out += chunk
        time.sleep(slow)
    assert [photo.row for photo in out] == rows
    assert {photo.row: photo.reason for photo in out if photo.reason} == {
        33: "the decoder crashed on it, or took more than 20 s"
    }
    for photo in out:
        if photo.row != 33:
            np.testing.assert_array_equal(photo.image, read_image(many[photo.row]))
    assert_gone(before)


def test_two_crashes_in_one_chunk(many):
    many[1], many[3] = killer(), killer()
    out = flat(decode_photos(many, rows=range(5), resize=16, alpha=True, workers=1))
    assert [photo.image is None for photo in out] == [False, True, False, True, False]
    assert all(photo.image.shape == (12, 16, 3) for photo in out if photo.image is not None)


def test_a_reader_that_stops_early_leaves_no_workers(many):
    before = ours()
    chunks = decode_photos(many, workers=2)
    assert len(next(chunks)) == CHUNK
    assert len(ours() - before) == 2
    chunks.close()
    assert_gone(before)


def test_a_reader_that_fails_leaves_no_workers(many):
    before = ours()

    def read():
        for _ in decode_photos(many, workers=2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()
    assert_gone(before)


def test_workers_by_default(many, monkeypatch):
    monkeypatch.setattr("netvlad.images.decode.in_chunks", lambda run, chunks, workers, crashed: iter([workers]))
    for cores, workers in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr("netvlad.runtime.workers.cores", lambda cores=cores: cores)
        assert list(decode_photos(many[: FEW + 1])) == [workers]
    assert list(decode_photos(many[:FEW])) == [0]  # a handful is decoded here
    assert list(decode_photos(many, rows=[1, 2], workers=2)) == [2]  # unless workers are asked for


def test_in_a_script_without_a_main_guard(photos, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from netvlad.images.decode import decode_photos\n"
        f"photos = [photo for chunk in decode_photos({photos(2)!r}, workers=1) for photo in chunk]\n"
        "print([photo.image.shape for photo in photos])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(netvlad.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[(72, 96, 3), (72, 96, 3)]\n", "", 0)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_killed_main_process(photos):
    script = (
        "import os, sys\n"
        "from netvlad.images.decode import decode_photos\n"
        "chunks = decode_photos(sys.argv[1:] * 20, workers=2)\n"
        "next(chunks)\n"
        "children = open(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read()\n"
        "print(children, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, *photos(20)], capture_output=True)
    assert run.returncode == -9
    children = [int(pid) for pid in run.stdout.split()]
    assert len(children) >= 2
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
