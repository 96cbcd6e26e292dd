from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from netvlad.errors import PlacesError
from netvlad.images.read import read_image
from netvlad.panoramas.camera import Camera, panorama_pixels, panorama_rays
from netvlad.panoramas.cut_outs import Layout, write_cut_outs
from netvlad.panoramas.panorama import cut_out
from netvlad.panoramas.pose import LEVEL, Pose
from netvlad.places import Places

VIEWS = Layout((0.0, 90.0, 200.0), (4.0,), width=64, height=48)
WIDTH = 512


def scene():
    """A level panorama (256, 512, 3) of smooth colours."""
    coarse = np.random.default_rng(0).integers(0, 255, (8, 16, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, WIDTH // 2), interpolation=cv2.INTER_CUBIC)


def held(pitch, roll):
    """The same scene in a panorama that was held at an angle: each of its pixels looks where the camera's axes lead."""
    right, up, forward = Camera(0.0, pitch, roll).axes
    own = panorama_rays(WIDTH)
    world = own[..., :1] * right + own[..., 1:2] * forward + own[..., 2:] * up
    x, y = panorama_pixels(world, WIDTH)
    return cv2.remap(scene(), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


@pytest.mark.parametrize(("pitch", "roll"), [(10.0, 0.0), (0.0, 15.0), (-8.0, -12.0), (30.0, 40.0)])
@pytest.mark.parametrize("camera", VIEWS.cameras())
def test_a_tilted_panorama_gives_the_views_of_a_level_one(pitch, roll, camera):
    tilted, pose = held(pitch, roll), Pose(pitch, roll)
    level = cut_out(scene(), camera).astype(int)
    assert np.abs(cut_out(tilted, pose.seen(camera)).astype(int) - level).mean() < 4
    assert np.abs(cut_out(tilted, camera).astype(int) - level).mean() > 10  # uncorrected


def test_a_level_panorama_keeps_its_cameras():
    camera = Camera(123.0, 4.0)
    assert LEVEL.seen(camera) is camera
    assert LEVEL.share(camera) == 1


def test_the_horizon_of_a_camera_that_leans_to_its_right_is_straightened():
    seen = Pose(roll=10.0).seen(Camera(0.0))
    assert (seen.heading, seen.pitch, seen.roll) == pytest.approx((0, 0, -10), abs=1e-6)
    aside = Pose(roll=10.0).seen(Camera(90.0))  # to the right the camera's own middle lies below the horizon
    assert aside.pitch == pytest.approx(10)


def test_a_part_of_a_panorama_is_cut_into_what_it_shows(tmp_path):
    whole = scene()
    part = whole[64:192, 128:]  # of 256x512: without the left quarter, and a quarter above and below
    Image.fromarray(part).save(tmp_path / "p.png")
    pose = Pose(margins=(0.25, 0.25, 0.0, 0.25))
    places = Places.build(path=[tmp_path / "p.png"], lat=1.0, lon=2.0, heading=10.0)
    table = write_cut_outs(places, tmp_path / "out", VIEWS, poses=[pose], workers=0)
    assert table.heading.tolist() == [10, 100]  # the view to the left is left out
    assert np.abs(read_image(table.path[0]).astype(int) - cut_out(whole, VIEWS.cameras()[0]).astype(int)).mean() < 6


def test_views_beyond_the_margins_are_holes(tmp_path):
    Image.fromarray(scene()[:160]).save(tmp_path / "p.png")
    places = Places.build(path=[tmp_path / "p.png"], lat=1.0, lon=2.0)
    low = Layout((0.0,), (-10.0, -60.0), width=64, height=48)
    table = write_cut_outs(places, tmp_path / "out", low, poses=[Pose(margins=(0, 0, 0, 0.375))], workers=0)
    (view,) = (np.asarray(Image.open(path)) for path in table.path)
    assert view[0, 32, 3] == 255
    assert view[-1, 32, 3] == 0


def test_other_proportions_than_stated_and_nothing_to_show_are_told(tmp_path):
    Image.fromarray(scene()).save(tmp_path / "p.png")
    Image.fromarray(scene()[64:192]).save(tmp_path / "q.png")
    places = Places.build(path=[tmp_path / "p.png", tmp_path / "q.png"], lat=[1.0, 1.0], lon=[2.0, 2.1])
    poses = [Pose(margins=(0, 0.25, 0, 0.25))] * 2
    (skipped,) = write_cut_outs(places, tmp_path / "out", VIEWS, poses=poses, workers=0).skipped
    assert "p.png" in str(skipped)
    up = Layout((0.0,), (80.0,), width=64, height=48)
    with pytest.raises(PlacesError):
        write_cut_outs(places[1:], tmp_path / "up", up, poses=poses[1:], workers=0)
    with pytest.raises(PlacesError):
        Pose(margins=(0.5, 0, 0.5, 0))
