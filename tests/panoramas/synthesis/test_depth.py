from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.synthesis.depth import HEADINGS, PITCHES, depth_from_views

SIZE = 96


def cameras() -> list[Camera]:
    return [Camera(i * 360 / HEADINGS, p, 0, 90, SIZE, SIZE) for p in PITCHES for i in range(HEADINGS)]


def model(world, height: float, spread: float = 0.7, noise: float = 0.0):
    """A model that knows the world, but measures it in a unit of its own in every view."""
    rng, views = np.random.default_rng(0), iter(cameras())

    def predict(view: np.ndarray) -> np.ndarray:
        assert (view.shape, view.dtype) == ((SIZE, SIZE, 3), np.uint8)
        camera = next(views)
        rays = camera.rays()
        along = world.distance((0, 0, height), rays) * (rays @ camera.axes[2])
        return along * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, noise, along.shape))

    return predict


@pytest.fixture
def panorama() -> np.ndarray:
    return np.zeros((64, 128, 3), np.uint8)


@pytest.mark.parametrize(("height", "noise", "within"), [(2.5, 0.0, 0.03), (1.6, 0.05, 0.06)])
def test_depth_of_a_known_world(corner, panorama, height, noise, within):
    predict = model(corner, height, noise=noise)
    depth = depth_from_views(panorama, predict, camera_height=height, width=256, view_size=SIZE)
    true = corner.distance((0, 0, height), panorama_rays(256))
    assert (depth.shape, depth.dtype) == ((128, 256), np.float32)
    assert (np.isinf(depth) == np.isinf(true)).mean() > 0.98
    both = np.isfinite(depth) & np.isfinite(true)
    error = np.abs(depth[both] / true[both] - 1)
    assert np.median(error) < within / 2
    assert np.quantile(error, 0.9) < within  # the rest is at edges and far along the ground, a pixel off


def test_what_no_view_knows_is_unknown(plain, panorama):
    known = model(plain, 2.5)

    def predict(view):
        depth = known(view)
        depth[: SIZE // 2] = [[np.nan] * (SIZE // 2) + [-1.0] * (SIZE // 2)]
        return depth

    depth = depth_from_views(panorama, predict, width=128, view_size=SIZE)
    assert np.isnan(depth[:10]).all()
    assert depth[-1] == pytest.approx(2.5, rel=0.03)


def test_what_cannot_be_used(plain, panorama):
    with pytest.raises(PlacesError, match=r"shape \(3, 4\): \(96, 96\) is wanted"):
        depth_from_views(panorama, lambda view: np.ones((3, 4)), view_size=SIZE)
    with pytest.raises(PlacesError, match="without ground there is no scale"):
        depth_from_views(panorama, lambda view: np.full((SIZE, SIZE), np.inf), width=64, view_size=SIZE)
    with pytest.raises(PlacesError, match="twice as wide as high"):
        depth_from_views(np.zeros((64, 64, 3), np.uint8), lambda view: np.ones((SIZE, SIZE)), view_size=SIZE)
