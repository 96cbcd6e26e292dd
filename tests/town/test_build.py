from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import NetvladError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.panorama import cut_out, depth_path, read_depth
from netvlad.places import read_places
from netvlad.town.build import build_town, is_whole
from netvlad.town.capture_plan import Size, surveys
from netvlad.town.survey import CAMERA_HEIGHT, survey, survey_stops

# Builds, and dies as by `kill -9` when it has written as many files as it is told.
DYING = """
import json, os, signal, sys
from netvlad.town.build import build_town
from netvlad.town.capture_plan import Size, surveys
whole, left = os.replace, [int(sys.argv[3])]
def replace(*paths):
    whole(*paths)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
size = Size(*(tuple(v) if isinstance(v, list) else v for v in json.loads(sys.argv[2])))
build_town(sys.argv[1], 5, size, workers=0)
"""


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder; what a killed process was writing does not count."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def assert_same(one: Path, other: Path) -> None:
    a, b = files(one), files(other)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name]] == []


def test_what_is_built(town, size):
    said = json.loads((town / "town.json").read_text())
    assert (said["seed"], said["whole"], said["streets"], said["gps"]) == (3, True, [1, 1], 2.0)
    assert is_whole(town)
    assert sorted(p.name for p in town.iterdir()) == ["test", "town.json", "train"]
    for split in ("train", "test"):
        panoramas = sorted(p.stem for p in (town / split / "panoramas").iterdir())
        assert panoramas == sorted(p.stem for p in (town / split / "depth").iterdir())
        assert len(panoramas) >= 2
        for stem in panoramas:
            with Image.open(town / split / "panoramas" / f"{stem}.jpg") as photo:
                assert photo.size == (size.width, size.width // 2)
            assert read_depth(town / split / "depth" / f"{stem}.png").shape == (size.width // 2, size.width)
        assert len(list((town / split / "database" / "photos").iterdir())) == 12 * len(panoramas)
        queries = sorted(p.name for p in (town / split / "queries" / "photos").iterdir())
        assert len(queries) == size.visits * size.queries
        assert sum("absent" in name for name in queries) == size.visits
        for name in queries:
            with Image.open(town / split / "queries" / "photos" / name) as photo:
                assert sorted(photo.size) == sorted(size.photo)
                assert np.asarray(photo).std() > 3  # a picture, by night too


def test_killed_builds_go_on_to_the_same_bytes(tmp_path):
    """By two workers what none built: killed between a panorama's depth and its photo, and among the queries."""
    size, out = Size((0, 0, 1), (1, 1), 50.0, (1, 1, 1), 64, 4, 1, (24, 18)), tmp_path / "killed"
    whole = build_town(tmp_path / "whole", 5, size, workers=0)
    shots = len(files(whole / "test" / "panoramas"))
    for count, panoramas, queries in ((2, 0, 0), (2 * shots + 1, shots, 1)):
        ran = subprocess.run([sys.executable, "-c", DYING, out, json.dumps(astuple(size)), str(count)])
        assert ran.returncode == -signal.SIGKILL
        assert len(files(out / "test" / "panoramas")) == panoramas
        assert len(files(out / "test" / "queries")) == queries
        assert not is_whole(out)
    build_town(out, 5, size, workers=2)
    assert_same(out, whole)


def test_splits_can_be_drawn_one_after_the_other(town, size, tmp_path):
    out = build_town(tmp_path / "town", 3, size, splits=["test"], workers=0)
    assert sorted(p.name for p in out.iterdir()) == ["test", "town.json"]
    assert [is_whole(out, split) for split in ("test", "train", None)] == [True, False, False]
    build_town(out, 3, size, splits=["train"], workers=0)
    assert is_whole(out)
    assert_same(out, town)
    with pytest.raises(NetvladError, match="validation"):
        build_town(tmp_path / "other", 3, size, splits=["validation"])


def test_what_was_lost_is_made_again(town, size, tmp_path):
    out = tmp_path / "town"
    shutil.copytree(town, out)
    build_town(out, 3, size, workers=0)  # nothing is to be done
    for path in out.rglob("*.jpg"):
        assert path.stat().st_mtime == (town / path.relative_to(out)).stat().st_mtime
    lost = [
        "train/panoramas/n00_d01_0000.jpg",
        "train/depth/n00_d00_0000.png",
        "test/queries/photos/n01_v02_night_003.jpg",
        "test/queries/photos/n01_v01_sunset_000_absent.jpg",
        "test/database/photos/n01_d00_0000_h030_p12.jpg",
        "train/truth.parquet",
        "test/places.parquet",
        "test/queries/places.parquet",
    ]
    for name in lost:
        (out / name).unlink()
    build_town(out, 3, size, workers=0)
    assert_same(out, town)


def test_another_town_is_refused_and_nothing_touched(town, size):
    before = {path: path.stat().st_mtime_ns for path in town.rglob("*")}
    with pytest.raises(NetvladError, match=r"holds another town \(seed 3, not 4\): choose another folder"):
        build_town(town, 4, size)
    with pytest.raises(NetvladError, match=r"holds another town \(gps 2.0, not 0.5, compass 1.5, not 3.0\)"):
        build_town(town, 3, size, gps=0.5, compass=3.0)
    with pytest.raises(NetvladError, match=r"spacing 30\.0, not 12\.0"):
        build_town(town, 3, "tiny")
    assert before == {path: path.stat().st_mtime_ns for path in town.rglob("*")}


@pytest.mark.parametrize("mark", [None, "", "[1, 2]", '"town"', "\xff"])
def test_a_folder_of_something_else_is_refused(tmp_path, mark):
    (tmp_path / "notes.txt").write_text("mine")
    if mark is not None:
        (tmp_path / "town.json").write_text(mark, "latin-1")
    with pytest.raises(NetvladError, match="holds other files: a town needs an empty folder"):
        build_town(tmp_path, 3, "tiny")
    assert not is_whole(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1 + (mark is not None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": "huge"}, "choose one of tiny, small, city"),
        ({"seed": -1}, "must be 0 or more"),
        ({"gps": -1.0}, "must be 0 or more"),
        ({"compass": float("nan")}, "must be 0 or more"),
        ({"gps": float("inf")}, "must be 0 or more"),
    ],
)
def test_wrong_wishes(tmp_path, arguments, says):
    with pytest.raises(NetvladError, match=says):
        build_town(tmp_path / "town", **{"size": "tiny", **arguments})
    assert not (tmp_path / "town").exists()


def test_without_embreex(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(NetvladError, match=r"netvlad\[town\]"):
        build_town(tmp_path / "town", size="tiny")
    assert not (tmp_path / "town").exists()


def test_depth_is_that_of_the_ground_below(town):
    """The camera stands CAMERA_HEIGHT above a level street."""
    for split in ("train", "test"):
        for path in read_places(town / split / "panoramas.parquet").path:
            depth = read_depth(depth_path(path))
            height = depth.shape[0]
            down = np.radians((np.arange(height) + 0.5) / height * 180 - 90)
            foot = down > np.radians(72)  # the car stands within 0.8 m
            metres = depth[foot] * np.sin(down[foot])[:, None]
            np.testing.assert_allclose(metres, CAMERA_HEIGHT, atol=0.006)  # rounded to a centimetre
            assert np.isinf(depth[0]).mean() > 0.5  # sky above
            level = depth[height // 2 - 1 : height // 2 + 1]
            assert 1 < np.nanmin(level[np.isfinite(level)]) < 30  # houses beside it


def test_panoramas_show_their_heading_in_the_middle(town, size, place):
    """Depth of each pixel along a ray of its own, reckoned here from where and when the photo says it was taken."""
    for moment, shots in surveys(3, 0, size, "train"):
        scene, shot = place.scene(moment), shots[-1]
        depth = read_depth(town / "train" / "depth" / f"{shot.name}.png")
        row, column = (v.ravel() for v in np.mgrid[:64, :128])
        turn = np.radians(shot.heading + (column + 0.5 - 64) / 128 * 360)
        up = np.radians(90 - (row + 0.5) / 64 * 180)
        rays = np.stack([np.cos(up) * np.sin(turn), np.cos(up) * np.cos(turn), np.sin(up)], axis=1).astype(np.float32)
        origins = np.tile(place.to_world(np.array(shot.position)).astype(np.float32), (len(rays), 1))
        triangle, metres, _ = scene.intersect(origins, rays)
        metres = np.where(triangle < 0, np.inf, metres)
        near = np.isclose(depth.ravel(), metres, atol=0.006)
        assert near.mean() > 0.995  # a ray along an edge may fall on either side


def coded(light: np.ndarray) -> np.ndarray:
    """Light as 0..255, all photos of one exposure and without noise."""
    return np.clip(light / 1.5, 0, 1) ** (1 / 2.2) * 255


def signal_to_noise(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one - other.astype(float)) ** 2)))


def test_a_cut_out_is_what_a_camera_would_have_seen(place, at):
    """A panorama of 1024 pixels, cut to 96x72, which are half as fine, and the mean of 16 rays a pixel.

    What differs: a panorama's pixel is one ray, five at an edge, and brick and leaves are finer than that. An error of
    8 of 255, 30 dB, leaves room for it; half a degree aside, which is 0.8 of a pixel, is worth 4 dB and more.
    """
    moment = at()
    scene = place.scene(moment)
    shot = survey(place, survey_stops(place.plan, 12.0, np.random.default_rng(0)), 0, moment)[2]
    origin = place.to_world(np.array(shot.position))
    light, _ = scene.render(origin, panorama_rays(1024, shot.heading), 2 * np.pi / 1024)
    panorama = np.rint(coded(light)).astype(np.uint8)
    for aside in (0.0, 130.0):
        fine = Camera(shot.heading + aside, 12.0, fov=60.0, width=4 * 96, height=4 * 72)
        seen = scene.radiance(origin, fine.rays().reshape(-1, 3), np.radians(60) / fine.width)[0]
        seen = coded(seen).reshape(72, 4, 96, 4, 3).mean(axis=(1, 3))
        agreement = {}
        for off in ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
            camera = Camera(shot.heading + aside + off[0], 12.0 + off[1], fov=60.0, width=96, height=72)
            agreement[off] = signal_to_noise(cut_out(panorama, camera, shot.heading), seen)
        best = agreement.pop((0, 0))
        assert seen.std() > 25
        assert best > 30
        assert max(agreement.values()) < best - 4
