from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.features.local_features import LocalFeatures
from netvlad.features.relative_pose import relative_pose

CAMERA = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])


def two_views(turn: float, centre, wrong: int = 0) -> tuple[LocalFeatures, LocalFeatures]:
    """What a camera and another one at `centre`, turned right by `turn` degrees, see of 80 points."""
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-4, 4, (80, 2)), rng.uniform(6, 20, 80)]
    h = np.radians(turn)
    rotation = np.array([[np.cos(h), 0, -np.sin(h)], [0, 1, 0], [np.sin(h), 0, np.cos(h)]])  # the world turns left
    descriptors = np.eye(80, 128, dtype=np.float32)

    def seen(places, order):
        pixels = (places @ CAMERA.T)[:, :2] / places[:, 2:]
        one = np.ones(80, np.float32)
        return LocalFeatures(pixels[order].astype(np.float32), one, one, descriptors, "rootsift")

    order = np.arange(80)
    order[:wrong] = np.roll(order[:wrong], 1)
    return seen(points, np.arange(80)), seen((points - centre) @ rotation.T, order)


@pytest.mark.parametrize(
    ("turn", "centre", "bearing"), [(12, (1, 0, 0), 90), (-20, (0, 0, 1), 0), (0, (-1, 0, 1), -45)]
)
def test_finds_how_the_cameras_stand(turn, centre, bearing):
    pose = relative_pose(*two_views(turn, np.array(centre, float), wrong=20), CAMERA)
    assert pose.inliers >= 55
    assert pose.heading == pytest.approx(turn, abs=0.5)
    assert pose.bearing == pytest.approx(bearing, abs=3)
    assert np.linalg.norm(pose.direction) == pytest.approx(1)


def test_there_is_none_without_matches():
    a, _ = two_views(0, np.zeros(3))
    few = LocalFeatures(a.points[:5], a.scale[:5], a.angle[:5], a.descriptors[:5], a.kind)
    assert relative_pose(a, few, CAMERA) is None


@pytest.mark.parametrize("wrong", [np.eye(2), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_refuses_what_is_no_camera(wrong):
    a, b = two_views(0, np.ones(3))
    with pytest.raises(NetvladError):
        relative_pose(a, b, wrong)
