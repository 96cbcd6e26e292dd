from __future__ import annotations

import cv2
import numpy as np
import pytest

from netvlad.errors import ImageError, NetvladError
from netvlad.features import local_features as module
from netvlad.features.local_features import KINDS, local_features
from netvlad.images.read import read_image

HAS_AKAZE = hasattr(cv2, "AKAZE_create") or hasattr(getattr(cv2, "xfeatures2d", None), "AKAZE_create")
ALL = [
    pytest.param(kind, marks=pytest.mark.skipif(kind == "akaze" and not HAS_AKAZE, reason="OpenCV without AKAZE"))
    for kind in KINDS
    if kind != "xfeat"  # of a network: test_xfeat.py
]


def texture(height: int = 200, width: int = 260, seed: int = 0) -> np.ndarray:
    """Blotches of all sizes."""
    rng = np.random.default_rng(seed)
    coarse = [rng.uniform(-1, 1, (height // s + 2, width // s + 2, 3)) for s in (4, 8, 16, 32)]
    image = sum(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in coarse)
    return np.clip(128 + 60 * image, 0, 255).astype(np.uint8)


def same(a, b) -> bool:
    names = ("points", "scale", "angle", "descriptors")
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names) and a.kind == b.kind


@pytest.mark.parametrize("kind", ALL)
def test_shapes_and_types(kind):
    found = local_features(texture(), kind)
    n = len(found)
    assert n > 50
    binary = KINDS[kind].binary
    assert found.points.shape == (n, 2)
    assert found.scale.shape == found.angle.shape == (n,)
    assert found.descriptors.shape == (n, {"orb": 32, "akaze": 61}.get(kind, 128))
    assert found.points.dtype == found.scale.dtype == found.angle.dtype == np.float32
    assert found.descriptors.dtype == (np.uint8 if binary else np.float32)
    assert found.kind == kind
    assert (found.points >= -0.5).all()
    assert (found.points <= [259.5, 199.5]).all()


@pytest.mark.parametrize("kind", ALL)
def test_the_same_photo_gives_the_same_features_and_fewer_are_the_first_of_them(kind):
    image = texture()
    found = local_features(image, kind)
    assert same(found, local_features(image.copy(), kind))
    cv2.setNumThreads(1)
    try:
        assert same(found, local_features(image, kind))
    finally:
        cv2.setNumThreads(-1)
    few = local_features(image, kind, most=30)
    if kind == "orb":  # shares `most` among the octaves before it looks for any
        assert 15 <= len(few) <= 30
    else:
        assert len(few) == 30
        np.testing.assert_array_equal(few.points, found.points[:30])
        np.testing.assert_array_equal(few.descriptors, found.descriptors[:30])


def test_strongest_first():
    """Blobs on grey: SIFT's response is their contrast, and so is the order."""
    y, x = np.mgrid[:160, :240]
    image = np.full((160, 240), 128.0)
    contrast = {(40, 40): 30, (120, 40): 100, (200, 40): 60, (40, 120): 80, (120, 120): 45, (200, 120): 115}
    for (cx, cy), height in contrast.items():
        image += height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 5.0**2))
    found = local_features(np.clip(image, 0, 255).astype(np.uint8))
    strongest = sorted(contrast, key=contrast.get, reverse=True)
    at = [min(contrast, key=lambda c: np.hypot(*(np.array(c) - p))) for p in found.points]
    assert list(dict.fromkeys(at)) == strongest
    # and points lie in the middle of what they are of: no quarter of a pixel off
    middles = np.array(at)
    np.testing.assert_allclose(found.points, middles, atol=0.1)


def test_rootsift_is_the_root_of_sift_over_its_sum():
    image = texture()
    sift, root = local_features(image, "sift"), local_features(image, "rootsift")
    np.testing.assert_array_equal(sift.points, root.points)
    for x, y in zip(sift.descriptors.astype(np.float64), root.descriptors, strict=True):
        np.testing.assert_allclose(y, [np.sqrt(v / sum(x)) for v in x], atol=1e-6)
    np.testing.assert_allclose((root.descriptors.astype(np.float64) ** 2).sum(axis=1), 1, atol=1e-5)
    assert (sift.descriptors == np.rint(sift.descriptors)).all()
    assert sift.descriptors.max() <= 255


def test_sift_is_that_of_opencv():
    image = texture()
    detector = cv2.SIFT_create(contrastThreshold=module.CONTRAST, enable_precise_upscale=True)
    keypoints, descriptors = detector.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    found = local_features(image, "sift", most=10**6)
    want = {(*k.pt, k.size, k.angle): d.tolist() for k, d in zip(keypoints, descriptors, strict=True)}
    rows = zip(found.points.tolist(), found.scale.tolist(), found.angle.tolist(), found.descriptors, strict=True)
    assert {(*p, s, a): d.tolist() for p, s, a, d in rows} == want


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((120, 160, 3), np.uint8),
        np.full((120, 160, 3), 200, np.uint8),
        np.full((8, 8, 3), 255, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        texture(7, 300),
        np.dstack([texture(), np.zeros((200, 260), np.uint8)]),
    ],
    ids=["black", "uniform", "8x8", "one pixel", "a strip", "undefined"],
)
def test_photos_without_features(kind, image):
    found = local_features(image, kind)
    assert len(found) == 0
    assert found.points.shape == (0, 2)
    assert found.scale.shape == found.angle.shape == (0,)
    assert found.descriptors.shape == (0, KINDS[kind].dim)
    assert found.descriptors.dtype == (np.uint8 if KINDS[kind].binary else np.float32)


@pytest.mark.parametrize("kind", ALL)
def test_small_photos_do_no_harm(kind):
    for side in (8, 9, 16, 31):
        local_features(texture(side, side), kind)


def with_hole(image: np.ndarray, colour) -> np.ndarray:
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    rgba[60:140, 150:220] = [*colour, 0]
    return rgba


@pytest.mark.parametrize("kind", ALL)
def test_features_that_touch_a_hole_are_dropped(kind):
    """Nearest point of the hole worked out by hand; what is left does not depend on what is in the hole."""
    image = read_image(with_hole(texture(seed=3), (0, 0, 0)), alpha=True)  # holes filled with colours nearby
    opaque = local_features(image[..., :3], kind, most=10**6)
    found = local_features(image, kind, most=10**6)
    x, y = opaque.points.T
    dx, dy = np.maximum(np.maximum(150 - x, x - 219), 0), np.maximum(np.maximum(60 - y, y - 139), 0)
    slack = np.hypot(dx, dy) - KINDS[kind].support * opaque.scale
    kept = {tuple(p) for p in found.points.tolist()}
    all_of = [tuple(p) for p in opaque.points.tolist()]
    assert 0 < len(found) < len(opaque)
    assert kept >= {p for p, s in zip(all_of, slack, strict=True) if s > 2}
    assert not kept & {p for p, s in zip(all_of, slack, strict=True) if s < -2}
    other = image.copy()
    other[60:140, 150:220, :3] = np.random.default_rng(0).integers(0, 256, (80, 70, 3))
    again = local_features(other, kind, most=10**6)
    where = {tuple(np.round(p, 1)): d for p, d in zip(again.points.tolist(), again.descriptors, strict=True)}
    pairs = [
        (d, where[key])
        for p, d in zip(found.points.tolist(), found.descriptors, strict=True)
        if (key := tuple(np.round(p, 1))) in where
    ]
    assert len(pairs) > 0.9 * len(found)
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    if KINDS[kind].binary:
        off = np.unpackbits(a ^ b, axis=1).mean(axis=1)
    else:
        off = np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)
    assert np.median(off) < 0.01


@pytest.mark.parametrize("kind", ALL)
def test_a_photo_defined_throughout_is_one_without_alpha(kind):
    image = texture()
    opaque = np.dstack([image, np.full((200, 260), 255, np.uint8)])
    assert same(local_features(image, kind), local_features(opaque, kind))


def test_grey_is_grey_rgb():
    grey = texture()[..., 0]
    assert same(local_features(grey), local_features(np.dstack([grey] * 3)))


def test_wrong_input():
    with pytest.raises(NetvladError, match="called 'surf'; choose one of rootsift, sift, orb, akaze"):
        local_features(texture(), "surf")
    with pytest.raises(NetvladError, match="most=0"):
        local_features(texture(), most=0)
    for bad in (texture().astype(np.float32), texture()[..., :2], np.zeros((0, 5, 3), np.uint8), np.zeros(5, np.uint8)):
        with pytest.raises(ImageError, match="HxWx4 uint8, got"):
            local_features(bad)


def test_an_opencv_without_akaze_is_told(monkeypatch):
    monkeypatch.delattr(cv2, "AKAZE_create", raising=False)
    monkeypatch.delattr(cv2, "xfeatures2d", raising=False)
    with pytest.raises(NetvladError, match=r"install opencv-contrib-python-headless .*rootsift, sift, orb, xfeat\)"):
        local_features(texture(), "akaze")
