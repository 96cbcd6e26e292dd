from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from fixtures.xfeat import boxes, made_up_state
from netvlad.features import xfeat as module
from netvlad.features.local_features import local_features
from netvlad.features.store import FeatureStore
from netvlad.features.verification import LEAST, match, verify
from netvlad.features.xfeat import Maps, XFeatNetwork, sampled, strongest

WARP = np.array([[0.92, -0.16, 40.0], [0.14, 0.95, -8.0], [1e-4, -2e-4, 1.0]])


def carried(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (N, 2) under a homography."""
    return cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0]


def darker(image: np.ndarray) -> np.ndarray:
    """The photo by night: little light, of another colour, with noise."""
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    return np.clip(image * (0.25, 0.2, 0.12) + 5 + noise, 0, 255).astype(np.uint8)


# -- with the published weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("light", [lambda x: x, darker], ids=["same light", "by night"])
def test_matches_follow_a_known_homography(real_xfeat, scene, light):
    warped = light(cv2.warpPerspective(scene, WARP, (320, 240), borderMode=cv2.BORDER_REFLECT))
    a, b = local_features(scene, "xfeat"), local_features(warped, "xfeat")
    found = verify(a, b)
    assert len(found) > 60
    error = carried(a.points[found.inliers[:, 0]], WARP) - b.points[found.inliers[:, 1]]
    assert np.median(np.linalg.norm(error, axis=1)) < 2
    corners = np.array([[20, 20], [300, 20], [300, 220], [20, 220]])
    assert np.linalg.norm(carried(corners, found.matrix) - carried(corners, WARP), axis=1).max() < 4


def test_another_scene_has_few_inliers(real_xfeat, scene):
    a, b = (local_features(image, "xfeat", most=500) for image in (scene, boxes(4)))
    assert len(verify(a, b)) < LEAST["homography"]


# -- with made-up weights ---------------------------------------------------------------------------------------------


class Layers(nn.Module):
    """The network once more as the paper draws it: convolution, normalisation, rectifier."""

    def __init__(self, state: dict):
        super().__init__()
        self.state = state

    def block(self, name: str, x: torch.Tensor, *strides: int) -> torch.Tensor:
        for i, stride in enumerate(strides):
            weight, mean, var = (
                self.state[f"{name}.{i}.layer.{k}"] for k in ("0.weight", "1.running_mean", "1.running_var")
            )
            x = nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
            x = nn.functional.batch_norm(x, mean, var).relu()
        return x

    def plain(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def forward(self, grey: torch.Tensor) -> Maps:
        x = nn.functional.instance_norm(grey[None, None])
        x2 = self.block("block1", x, 1, 2, 1, 2) + self.plain("skip1.1", nn.functional.avg_pool2d(x, 4))
        x3 = self.block("block3", self.block("block2", x2, 1, 1), 2, 1, 1)
        x4 = self.block("block4", x3, 2, 1, 1)
        x5 = self.block("block5", x4, 2, 1, 1, 1)
        size = {"size": x3.shape[2:], "mode": "bilinear"}
        fused = x3 + nn.functional.interpolate(x4, **size) + nn.functional.interpolate(x5, **size)
        features = self.plain("block_fusion.2", self.block("block_fusion", fused, 1, 1))
        heat = self.plain("heatmap_head.2", self.block("heatmap_head", features, 1, 1)).sigmoid()
        height, width = grey.shape
        cells = torch.stack([
            x[0, 0, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8].reshape(64)
            for i in range(height // 8) for j in range(width // 8)
        ]).T.reshape(1, 64, height // 8, width // 8)  # fmt: skip
        logits = self.plain("keypoint_head.3", self.block("keypoint_head", cells, 1, 1, 1)).softmax(1)[0]
        corners = torch.empty(height, width)
        for i in range(height // 8):
            for j in range(width // 8):
                corners[8 * i : 8 * i + 8, 8 * j : 8 * j + 8] = logits[:64, i, j].reshape(8, 8)
        return Maps(features[0], corners, heat[0])


def test_the_network_is_that_of_the_paper():
    state = made_up_state()
    grey = torch.rand(64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        want, got = Layers(state)(grey), XFeatNetwork(state)(grey)
    for a, b in zip(want, got, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)


def test_a_photo_alone_and_after_others(made_up_xfeat, scene, tmp_path):
    """Nothing depends on which photos were seen before, nor on how often."""
    alone = local_features(scene, "xfeat", most=200)
    for other in (darker(scene), scene[:100, :77].copy(), scene):
        again = local_features(other, "xfeat", most=200)
    assert len(alone) > 50
    for name in ("points", "scale", "angle", "descriptors"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(again, name))
    cv2.imwrite(str(tmp_path / "a.png"), scene[..., ::-1])
    for _ in range(2):  # found, then read from its file: bytes keep the descriptors
        stored = FeatureStore("xfeat", most=200, enlarge=False, folder=tmp_path / "features").of(
            str(tmp_path / "a.png")
        )
        np.testing.assert_array_equal(stored.descriptors, alone.descriptors)
        np.testing.assert_array_equal(stored.points, alone.points)


def test_what_is_undefined_does_not_count(made_up_xfeat, scene):
    alpha = np.full(scene.shape[:2], 255, np.uint8)
    alpha[60:140, 100:180] = 0
    one, other = scene.copy(), scene.copy()
    one[60:140, 100:180], other[60:140, 100:180] = 0, 255
    a, b = (local_features(np.dstack([image, alpha]), "xfeat") for image in (one, other))
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.descriptors, b.descriptors)
    far = np.maximum(np.abs(a.points - (139.5, 99.5)) - 39.5, 0)
    assert len(a) > 20
    assert np.linalg.norm(far, axis=1).min() > 30


@pytest.mark.parametrize("size", [(8, 8), (9, 300), (33, 31), (240, 320)])
def test_photos_of_any_size(made_up_xfeat, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = local_features(image, "xfeat")
    assert (found.points >= 0).all()
    assert (found.points <= (size[1] - 1, size[0] - 1)).all()
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((120, 160, 3), np.uint8),
        np.full((8, 8, 3), 255, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (7, 300, 3), dtype=np.uint8),
        np.dstack(
            [np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), np.zeros((64, 64), np.uint8)]
        ),
    ],
    ids=["black", "uniform", "one pixel", "a strip", "undefined"],
)
def test_photos_without_features(made_up_xfeat, image):
    found = local_features(image, "xfeat")
    assert (found.points.shape, found.descriptors.shape) == ((0, 2), (0, 64))


def test_scores_order_peaks_that_are_sure_and_inside():
    corners = torch.zeros(32, 64)
    for y, x, p in ((4, 4, 0.9), (4, 6, 0.8), (20, 40, 0.5), (10, 60, 0.6), (20, 8, 0.04), (28, 12, 0.7)):
        corners[y, x] = p
    reliability = torch.ones(1, 4, 8)
    reliability[0, :, 6:] = 0.1  # where the 0.6 is
    x, y, score = strongest(Maps(torch.zeros(64, 4, 8), corners, reliability), 26, 64, 10)
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [(4, 4), (40, 20), (60, 10)]
    torch.testing.assert_close(score, torch.tensor([0.9, 0.5, 0.06]))
    assert strongest(Maps(torch.zeros(64, 4, 8), corners, reliability), 26, 64, 1)[0].tolist() == [4]


def test_values_between_cells():
    """A map that is x in pixels, at the middles of cells, is x at every pixel inside of them."""
    ramp = (torch.arange(8) * 8 + 3.5).expand(1, 4, 8)
    x = torch.tensor([4.0, 20.5, 51.0])
    torch.testing.assert_close(sampled(ramp, x, torch.tensor([4.0, 9.0, 20.0]), "bilinear")[:, 0], x)


def test_matches_are_alike_whatever_the_second_nearest(made_up_xfeat, scene):
    """Two equal features of the other photo would fail a ratio; a cosine below 0.82 is no match."""
    a = local_features(scene, "xfeat", most=30)
    pairs = match(a, a)
    assert pairs[:, 0].tolist() == pairs[:, 1].tolist()
    cosine = np.array([0.9, 0.83, 0.81])
    apart = np.zeros((3, 64), np.float32)
    apart[:, 0] = 1
    turned = np.zeros((3, 64), np.float32)
    for i, c in enumerate(cosine):
        apart[i] = np.eye(64, dtype=np.float32)[i]
        turned[i, i], turned[i, 10 + i] = c, np.sqrt(1 - c * c)
    three = {"points": a.points[:3], "scale": a.scale[:3], "angle": a.angle[:3]}
    found = match(replace(a, descriptors=apart, **three), replace(a, descriptors=turned, **three))
    assert found.tolist() == [[0, 0], [1, 1]]


def test_the_network_is_read_once(made_up_xfeat, monkeypatch):
    read, times = module.read_xfeat, []
    monkeypatch.setattr(module, "read_xfeat", lambda file: (times.append(file), read(file))[1])
    for _ in range(3):
        module.XFeatDetector(10)
    assert len(times) <= 1
