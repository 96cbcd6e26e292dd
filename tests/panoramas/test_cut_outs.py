from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import PlacesError
from netvlad.images.read import read_image
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.cut_outs import LAYOUTS, Layout, _cut_all, _Job, write_cut_outs
from netvlad.panoramas.panorama import cut_out, read_panorama
from netvlad.places import Places, read_places, write_places

SMALL = Layout((0.0, 120.0, 240.0), (4.0, 26.5), width=32, height=24)


@pytest.fixture
def panoramas(tmp_path, same):
    """make(n): n panoramas of random textures, a few metres apart, with all that a table may tell."""

    def make(n: int) -> Places:
        rng = np.random.default_rng(0)
        folder = tmp_path / "panoramas"
        folder.mkdir()
        for i in range(n):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 12, 3), dtype=np.uint8))
            coarse.resize((128, 64), Image.Resampling.BICUBIC).save(folder / f"p{i}.jpg", quality=95)
        return Places.build(
            path=[folder / f"p{i}.jpg" for i in range(n)],
            lat=48 + 1e-4 * np.arange(n),
            lon=11.0,
            heading=[100.0, np.nan, *[350.0] * n][:n],
            time=[f"20{10 + i}-05-01T12:00:00" for i in range(n)],
            panorama=["a", *[""] * n][:n],
            split="database",
        )

    return make


def test_layouts_are_the_datasets():
    pittsburgh, tokyo = LAYOUTS["pittsburgh"].cameras(), LAYOUTS["tokyo"].cameras()
    assert [len(pittsburgh), len(tokyo)] == [24, 12]
    assert pittsburgh[1] == Camera(30, 4, 0, 60, 640, 480)
    assert pittsburgh[23] == Camera(330, 26.5, 0, 60, 640, 480)
    assert tokyo[11] == Camera(330, 12, 0, 60, 1280, 960)


def test_sizes_keep_the_proportions():
    tokyo = LAYOUTS["tokyo"]
    assert tokyo.sized() == tokyo
    assert tokyo.sized(width=320) == replace(tokyo, width=320, height=240)
    assert tokyo.sized(height=480, fov=90.0) == replace(tokyo, width=640, height=480, fov=90.0)
    assert tokyo.sized(100, 100) == replace(tokyo, width=100, height=100)
    assert tokyo.sized(width=1).height == 1


def test_photos_and_table(panoramas, tmp_path, same):
    source, out = panoramas(3), tmp_path / "out"
    table = write_cut_outs(source, out, SMALL)
    views = [f"h{h}_p{p}" for p in ("04", "26.5") for h in ("000", "120", "240")]
    names = [f"{name}_{view}.jpg" for name in ("a", "p1", "p2") for view in views]
    assert [os.path.relpath(path, out / "photos") for path in table.path] == names
    assert sorted(f.name for f in (out / "photos").iterdir()) == sorted(names)
    assert table.panorama.tolist() == ["a"] * 6 + ["p1"] * 6 + ["p2"] * 6
    np.testing.assert_array_equal(table.heading[:6], [100, 220, 340] * 2)
    assert np.isnan(table.heading[6:12]).all()
    np.testing.assert_array_equal(table.heading[12:], [350, 110, 230] * 2)
    for name in ("lat", "lon", "easting", "northing", "utm", "time", "is_utc", "split"):
        np.testing.assert_array_equal(getattr(table, name), np.repeat(getattr(source, name), 6))
    assert table.skipped == ()
    same(read_places(out), table)
    panorama = read_panorama(source.path[2])
    for i, camera in enumerate(SMALL.cameras()):
        seen = read_image(table.path[12 + i]).astype(int)
        assert seen.shape == (24, 32, 3)
        assert np.abs(seen - cut_out(panorama, camera)).mean() < 6  # but for JPEG
    # looking north in the middle of a panorama of heading 350 is what the table says of the first one
    np.testing.assert_array_equal(
        cut_out(panorama, replace(SMALL.cameras()[0], heading=350.0), 350.0), cut_out(panorama, SMALL.cameras()[0])
    )


def test_an_interrupted_run_goes_on(panoramas, tmp_path, same):
    source, out = panoramas(2), tmp_path / "out"
    first = write_cut_outs(source, out, SMALL)
    before = {path: (os.stat(path).st_mtime_ns, os.stat(path).st_ino) for path in first.path}
    os.remove(first.path[3])
    os.remove(out / "places.parquet")
    same(write_cut_outs(source, out, SMALL), first)
    after = {path: (os.stat(path).st_mtime_ns, os.stat(path).st_ino) for path in first.path}
    assert [path for path in first.path if before[path] != after[path]] == [first.path[3]]
    assert len(read_places(out)) == 12
    # a panorama that was replaced is cut anew; one that is gone is not needed
    later = os.stat(first.path[0]).st_mtime_ns + 10**10
    os.utime(source.path[1], ns=(later, later))
    os.remove(source.path[0])
    write_cut_outs(source, out, SMALL)
    again = {path: os.stat(path).st_ino for path in first.path}
    assert [again[path] != after[path][1] for path in first.path] == [False] * 6 + [True] * 6


def test_workers_write_the_same(panoramas, tmp_path, same):
    source = panoramas(3)
    here = write_cut_outs(source, tmp_path / "here", SMALL, workers=0)
    there = write_cut_outs(source, tmp_path / "there", SMALL, workers=2)
    for a, b in zip(here.path, there.path, strict=True):
        with open(a, "rb") as one, open(b, "rb") as other:
            assert one.read() == other.read()
    same(replace(here, path=there.path), there)


def test_bad_panoramas_are_left_out_with_a_reason(panoramas, tmp_path):
    good = panoramas(1)
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    paths = [tmp_path / "photo.jpg", tmp_path / "text.jpg", tmp_path / "none.jpg", good.path[0], good.path[0]]
    table = write_cut_outs(Places.build(path=paths, lat=1.0, lon=2.0), tmp_path / "out", SMALL)
    assert len(table) == 6
    assert set(table.panorama) == {"p0"}
    assert [(s.source, s.line, s.reason) for s in table.skipped] == [
        (str(paths[0]), 0, "64x48 is no panorama, which is twice as wide as high"),
        (str(paths[1]), 0, "is not an image in a format Pillow can read"),
        (str(paths[2]), 0, "no such file"),
        (str(paths[4]), 0, "is in the table twice"),
    ]
    assert len(os.listdir(tmp_path / "out" / "photos")) == 6
    with pytest.raises(PlacesError, match=r"none of 2 panoramas could be cut: .*photo.jpg: 64x48 is no panorama.*; "):
        write_cut_outs(Places.build(path=paths[:2], lat=1.0, lon=2.0), tmp_path / "bad", SMALL)
    assert not (tmp_path / "bad" / "places.parquet").exists()


def test_names_are_unique_whatever_the_panoramas_are_called(panoramas, tmp_path):
    one = panoramas(1).path[0]
    paths = []
    for name in ("x/A.jpg", "y/A.jpg", "z/a.png", "b.jpg", "c.jpg"):
        paths.append(tmp_path / name)
        paths[-1].parent.mkdir(exist_ok=True)
        Image.open(one).save(paths[-1])
    table = Places.build(path=paths, lat=1.0, lon=2.0, panorama=["", "", "", "../../x:1", "._"])
    single = Layout((0.0,), (-5.0,), width=8, height=6)
    cut = write_cut_outs(table, tmp_path / "out", single)
    names = [os.path.basename(path) for path in cut.path]
    assert len({name.lower() for name in names}) == 5
    assert all(name.endswith("_h000_p-5.jpg") and not name.startswith(".") for name in names)
    assert names[3] == "_.._x_1_h000_p-5.jpg"
    assert cut.panorama.tolist()[3:] == ["../../x:1", "._"]
    assert len(set(cut.panorama)) == 5
    assert {os.path.dirname(path) for path in cut.path} == {str(tmp_path / "out" / "photos")}
    # in another order nothing is made anew, and each is called as before
    before = {path: os.stat(path).st_ino for path in cut.path}
    again = write_cut_outs(table[::-1], tmp_path / "out", single)
    assert again.path.tolist() == cut.path.tolist()[::-1]
    assert {path: os.stat(path).st_ino for path in cut.path} == before


def test_holes_travel_as_alpha(tmp_path):
    rgba = np.full((64, 128, 4), 255, np.uint8)
    rgba[..., :3] = (200, 40, 90)
    rgba[:, 58:70, 3] = 0  # in the middle only
    Image.fromarray(rgba).save(tmp_path / "p.png")
    table = write_cut_outs(Places.build(path=[tmp_path / "p.png"], lat=1.0, lon=2.0), tmp_path / "out", SMALL)
    assert [os.path.splitext(path)[1] for path in table.path] == [".webp", ".jpg", ".jpg"] * 2
    front = np.asarray(Image.open(table.path[0]))
    assert front.shape == (24, 32, 4)
    assert front[12, 16, 3] == 0
    assert front[12, 0, 3] == 255
    again = write_cut_outs(Places.build(path=[tmp_path / "p.png"], lat=1.0, lon=2.0), tmp_path / "out", SMALL)
    assert again.path.tolist() == table.path.tolist()


def test_two_layouts_never_mix(panoramas, tmp_path):
    source = panoramas(1)
    write_cut_outs(source, tmp_path / "out", SMALL)
    with pytest.raises(PlacesError, match="holds cut-outs of another layout"):
        write_cut_outs(source, tmp_path / "out", SMALL.sized(width=16))
    write_places(source, tmp_path / "panoramas" / "places.parquet")
    with pytest.raises(PlacesError, match=r"holds places.parquet, which is no table of cut-outs"):
        write_cut_outs(source, tmp_path / "panoramas", SMALL)
    with pytest.raises(PlacesError, match="no layout is called 'paris'; choose one of pittsburgh, tokyo"):
        write_cut_outs(source, tmp_path / "new", "paris")
    assert not (tmp_path / "new").exists()


def test_a_crashing_decoder_loses_one_panorama(panoramas, tmp_path):
    class Killer(os.PathLike):  # local, so that it reaches the workers by value and not by import
        def __fspath__(self) -> str:
            os.kill(os.getpid(), signal.SIGKILL)

    paths = [*panoramas(3).path]
    paths[1] = Killer()
    camera = SMALL.cameras()[0]
    jobs = [_Job(path, [(str(tmp_path / f"{i}"), camera)]) for i, path in enumerate(paths)]
    assert list(_cut_all(jobs, workers=1)) == ["", "the decoder crashed on it", ""]
    assert sorted(f.name for f in tmp_path.glob("*.jpg")) == ["0.jpg", "2.jpg"]


def test_a_full_disk_is_no_bad_panorama(panoramas, tmp_path):
    camera = SMALL.cameras()[0]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        list(_cut_all([_Job(panoramas(1).path[0], [(str(tmp_path / "file" / "x"), camera)])], workers=0))
