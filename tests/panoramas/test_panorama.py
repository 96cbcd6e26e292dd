from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError, PlacesError
from netvlad.panoramas.camera import Camera, panorama_pixels, panorama_rays
from netvlad.panoramas.panorama import (
    cut_out,
    cut_out_depth,
    cut_outs,
    depth_path,
    read_depth,
    read_panorama,
    write_depth,
)

CAMERAS = [
    Camera(50, width=160, height=120),
    Camera(230, width=160, height=120),  # onto the seam of a panorama whose heading is 50
    Camera(228, 10, 20, width=160, height=120),
    Camera(0, 90, width=160, height=120),  # the zenith
    Camera(10, -90, 30, 90, width=160, height=120),  # the nadir
    Camera(77, 70, fov=100, width=160, height=120),
    Camera(-400, 4, width=2000, height=20, fov=20),  # much finer than the panorama
    Camera(0, fov=120, width=40, height=24),  # much coarser in the middle, not at the edges
    Camera(123, 80, fov=90, width=17, height=19),
    Camera(5, 26.5, width=1, height=1, fov=10),
]


def colour(directions: np.ndarray) -> np.ndarray:
    """A sky and a ground without an edge: one colour a direction."""
    e, n, u = np.moveaxis(directions, -1, 0)
    waves = [np.sin(5 * e + 2 * n), np.cos(4 * n - 3 * u), np.sin(6 * u + e)]
    return 128 + 100 * np.stack(waves, axis=-1)


def mean_seen(camera: Camera, of, side: int) -> np.ndarray:
    """The mean over each pixel of `of` (directions -> values), by side x side rays, a plain float64 mean."""
    w, h = camera.width, camera.height
    fine = Camera(camera.heading, camera.pitch, camera.roll, camera.fov, w * side, h * side)
    seen = of(fine.rays())
    return seen.reshape(h, side, w, side, -1).mean(axis=(1, 3))


@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_it_shows_what_stands_in_each_direction(camera):
    panorama = np.rint(colour(panorama_rays(1024, 50.0))).astype(np.uint8)
    seen = cut_out(panorama, camera, 50.0)
    assert (seen.shape, seen.dtype) == ((camera.height, camera.width, 3), np.uint8)
    np.testing.assert_allclose(seen, mean_seen(camera, colour, 6), atol=1.6)


def test_the_heading_turns_the_panorama():
    panorama = np.zeros((50, 100, 3), np.uint8)
    panorama[:, 74:76] = 255  # a quarter of a turn right of the middle
    for heading in (0.0, 90.0, -30.0, 359.0):
        seen = cut_out(panorama, Camera(heading + 90, fov=40, width=41, height=31), heading)
        column = seen[15, :, 0].astype(int)
        np.testing.assert_array_equal(column, column[::-1])
        assert column.argmax() in (19, 20, 21)
        assert column[20] > 200


@pytest.mark.parametrize(
    "camera",
    [
        Camera(0, width=40, height=30),
        Camera(180, 26.5, width=80, height=60),
        Camera(90, fov=120, width=60, height=40),
        Camera(45, -55, 10, width=40, height=30),
    ],
    ids=str,
)
def test_a_coarse_view_of_noise_is_its_mean_and_not_a_choice_of_it(camera):
    noise = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), dtype=np.uint8)

    def nearest(rays):
        x, y = panorama_pixels(rays, 1024)
        return noise[np.rint(y).astype(int).clip(0, 511), np.rint(x).astype(int) % 1024].astype(float)

    mean = mean_seen(camera, nearest, 24)
    seen = cut_out(noise, camera).astype(float)
    chosen = nearest(camera.rays())
    assert np.corrcoef(seen.ravel(), mean.ravel())[0, 1] > 0.98
    assert (seen - mean).std() < 0.2 * mean.std()
    assert (chosen - mean).std() > 50


def test_noise_at_the_pole_is_smooth_in_all_directions():
    """Hundreds of columns meet there: taken as they are they would be a star of spokes."""
    noise = np.random.default_rng(1).integers(0, 256, (512, 1024, 3), dtype=np.uint8)
    camera = Camera(0, 90, fov=10, width=60, height=60)  # 0.17 degrees a pixel, the panorama's are 0.35
    for source, pole in ((noise, camera), (noise[::-1], Camera(0, -90, fov=10, width=60, height=60))):
        seen = cut_out(np.ascontiguousarray(source), pole).astype(float)
        inner = seen[25:35, 25:35]  # within a degree of the pole, three rows high and a thousand columns wide
        assert max(np.abs(np.diff(inner, axis=0)).mean(), np.abs(np.diff(inner, axis=1)).mean()) < 10
        assert np.abs(np.diff(noise[0].astype(float), axis=0)).mean() > 60
        assert inner.std() < 15


def test_the_seam_is_nowhere():
    """Turned by whole columns, and its heading with it, a panorama shows the same."""
    panorama = np.random.default_rng(5).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    for camera in (Camera(180, width=64, height=48), Camera(170, 75, width=64, height=48)):
        seen = cut_out(panorama, camera).astype(int)
        for columns in (1, 8, 15):
            turned = cut_out(np.roll(panorama, columns, axis=1), camera, -22.5 * columns)
            assert np.abs(turned - seen).max() <= 1


def test_across_a_pole_nothing_jumps():
    panorama = np.zeros((4, 8, 3), np.uint8)  # a row so wide that it is not low-passed
    panorama[:, :4] = 240
    for pitch in (90, -90):
        seen = cut_out(panorama, Camera(0, pitch, fov=10, width=61, height=61))[..., 0].astype(int)
        assert np.ptp(seen[29:32, 29:32]) < 30
        assert abs(seen[30, 30] - 120) < 10
        assert np.ptp(cut_out(panorama, Camera(0, pitch, fov=120, width=61, height=61))) == 240


def test_several_cameras_are_as_each_alone():
    rng = np.random.default_rng(2)
    panorama = rng.integers(0, 256, (64, 128, 4), dtype=np.uint8)
    for seen, camera in zip(cut_outs(panorama, CAMERAS, 7.0), CAMERAS, strict=True):
        np.testing.assert_array_equal(seen, cut_out(panorama, camera, 7.0))
    assert list(cut_outs(panorama, [])) == []


def test_undefined_pixels_do_not_bleed():
    panorama = np.zeros((128, 256, 4), np.uint8)
    panorama[...] = (200, 40, 90, 255)
    holes = np.random.default_rng(3).random((128, 256)) < 0.4
    panorama[holes] = (0, 255, 0, 0)
    for camera in (Camera(0), Camera(180, 50), Camera(0, 88, width=64, height=48), Camera(0, width=16, height=12)):
        seen = cut_out(panorama, camera)
        assert seen.shape == (camera.height, camera.width, 4)
        some = seen[..., 3] > 2  # below, a colour of 16 bits that was weighed by alpha has few of them left
        assert some.any()
        assert np.abs(seen[some][:, :3].astype(int) - (200, 40, 90)).max() <= 1
        assert seen[..., 3].mean() == pytest.approx(255 * 0.6, abs=25)


def test_a_hole_stays_a_hole_and_what_is_whole_stays_whole():
    panorama = np.full((128, 256, 4), 255, np.uint8)
    panorama[:, 128:, 3] = 0  # the right half
    seen = cut_out(panorama, Camera(0, width=64, height=48))
    assert seen[:, :30, 3].min() == 255
    assert seen[:, 34:, 3].max() == 0
    assert not seen[:, 34:, :3].any()
    opaque = np.dstack([panorama[..., :3], np.full((128, 256), 255, np.uint8)])
    np.testing.assert_array_equal(
        cut_out(opaque, Camera(0, 60))[..., :3], cut_out(opaque[..., :3].copy(), Camera(0, 60))
    )


def test_tiny_panoramas_and_cameras():
    for width in (2, 4, 6):
        grey = np.full((width // 2, width, 3), 77, np.uint8)
        for camera in (Camera(0), Camera(0, 90, width=1, height=1, fov=170), Camera(9, -80, width=3, height=2)):
            assert (cut_out(grey, camera) == 77).all()


@pytest.mark.parametrize("shape", [(100, 100, 3), (100, 199, 3), (100, 201, 4), (0, 0, 3)])
def test_what_is_not_twice_as_wide_as_high_is_refused(shape):
    with pytest.raises(PlacesError, match=f"{shape[1]}x{shape[0]} is no panorama, which is twice as wide as high"):
        cut_out(np.zeros(shape, np.uint8), Camera(0))
    with pytest.raises(PlacesError, match="is no panorama"):
        cut_out_depth(np.zeros(shape[:2]), Camera(0))


def test_what_is_no_image_is_refused():
    for image in (np.zeros((50, 100), np.uint8), np.zeros((50, 100, 2), np.uint8), np.zeros((50, 100, 3))):
        with pytest.raises(PlacesError, match="a panorama is"):
            cut_out(image, Camera(0))
    with pytest.raises(PlacesError, match=r"got \(50, 100, 1\)"):
        cut_out_depth(np.zeros((50, 100, 1)), Camera(0))


def test_an_unknown_heading_is_refused():
    panorama = np.zeros((50, 100, 3), np.uint8)
    for camera, heading in ((Camera(np.nan), 0.0), (Camera(0), np.nan)):
        with pytest.raises(PlacesError, match="headings must be finite"):
            cut_out(panorama, camera, heading)
        with pytest.raises(PlacesError, match="headings must be finite"):
            cut_out_depth(panorama[..., 0], camera, heading)


# -- depth ----------------------------------------------------------------------------------------------------------


def test_depth_is_never_a_mixture():
    depth = np.full((50, 100), 5, np.float32)
    depth[:, 50:] = 100
    depth[:10] = np.inf
    depth[40:] = np.nan
    for camera in CAMERAS:
        seen = cut_out_depth(depth, camera, 33.0)
        assert (seen.shape, seen.dtype) == ((camera.height, camera.width), np.float32)
        assert set(seen[~np.isnan(seen)].tolist()) <= {5.0, 100.0, np.inf}


def test_depth_by_a_plain_loop():
    depth = np.random.default_rng(4).random((32, 64)).astype(np.float32)
    cameras = Camera(200, 10, 5, width=7, height=5), Camera(0, 90, width=5, height=5), Camera(180, width=6, height=4)
    for camera in cameras:
        seen = cut_out_depth(depth, camera, 21.3)
        for r, row in enumerate(camera.rays()):
            for c, (e, n, u) in enumerate(row):
                column = int(((np.degrees(np.arctan2(e, n)) - 21.3 + 180) % 360) / 360 * 64) % 64
                line = min(int((90 - np.degrees(np.arcsin(np.clip(u, -1, 1)))) / 180 * 32), 31)
                assert seen[r, c] == depth[line, column]


def test_depth_of_a_wall_is_longer_at_its_sides():
    """Distances run along the rays: a wall 10 m to the north is 10 / cos away."""
    rays = panorama_rays(1440)
    with np.errstate(divide="ignore"):
        wall = np.where(rays[..., 1] > 0, 10 / rays[..., 1], np.inf).astype(np.float32)
    camera = Camera(0, width=64, height=48)
    np.testing.assert_allclose(cut_out_depth(wall, camera) * camera.rays()[..., 1], 10, rtol=0.005)


def test_depth_on_disk(tmp_path):
    metres = np.array([[np.nan, 0.0, 0.004, 0.01, 1.234], [655.34, 655.35, 700, np.inf, 20.005]], np.float32)
    path = tmp_path / "new" / "a.png"
    write_depth(path, metres)
    want = [[np.nan, np.nan, 0.01, 0.01, 1.23], [655.34, np.inf, np.inf, np.inf, 20.0]]
    found = read_depth(path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, want, atol=0.0101)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[0], [0, 0, 1, 1, 123])
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[1, :4], [65534, 65535, 65535, 65535])
    assert [f.name for f in path.parent.iterdir()] == ["a.png"]
    write_depth(path, found)
    np.testing.assert_array_equal(read_depth(path), found)


@pytest.mark.parametrize("depth", [np.full((2, 4), -1.0), np.zeros((2, 4, 1)), np.zeros((0, 4)), np.zeros(4)])
def test_what_is_no_depth_is_not_written(depth, tmp_path):
    with pytest.raises(PlacesError, match="metres from 0 up"):
        write_depth(tmp_path / "a.png", depth)
    assert not list(tmp_path.iterdir())


def test_what_is_no_depth_is_not_read(tmp_path):
    Image.new("L", (4, 2)).save(tmp_path / "grey.png")
    Image.new("RGB", (4, 2)).save(tmp_path / "rgb.png")
    (tmp_path / "text.png").write_text("no image")
    write_depth(tmp_path / "half.png", np.random.default_rng(0).random((50, 100)))
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:500])
    for name, words in (
        ("grey.png", "16-bit grey PNG in centimetres, this is L"),
        ("rgb.png", "this is RGB"),
        ("text.png", "is no depth that can be read"),
        ("half.png", "is no depth that can be read"),
        ("none.png", "no such file"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            read_depth(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_depth_lies_in_the_folder_beside():
    assert str(depth_path("/town/panoramas/2019_0007.jpg")) == "/town/depth/2019_0007.png"
    assert str(depth_path("town/panoramas/a.b.webp")) == "town/depth/a.b.png"


# -- photos ---------------------------------------------------------------------------------------------------------


def test_panoramas_are_read_with_their_holes(tmp_path):
    rgba = np.full((4, 8, 4), 200, np.uint8)
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(tmp_path / "whole.png")
    rgba[1, 2, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "hole.png")
    assert read_panorama(tmp_path / "whole.png").shape == (4, 8, 3)
    hole = read_panorama(tmp_path / "hole.png")
    assert hole.shape == (4, 8, 4)
    np.testing.assert_array_equal(hole[..., 3], rgba[..., 3])


def test_panoramas_of_another_shape_are_refused_by_name(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    with pytest.raises(PlacesError, match=f"{tmp_path / 'a.jpg'}: 64x48 is no panorama"):
        read_panorama(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="no such file"):
        read_panorama(tmp_path / "b.jpg")


def test_places_are_light_to_import():
    heavy = ("cv2", "torch", "scipy", "PIL", "loky")
    script = f"import sys, netvlad.places; print([m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
