from __future__ import annotations

import csv
import math

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from netvlad.errors import ImageError
from netvlad.features import dense_sift as module
from netvlad.features.dense_sift import BIN_SIZES, SMALLEST, dense_sift
from netvlad.images.read import read_image


def texture(height: int, width: int, seed: int = 0, channels: int | None = None) -> np.ndarray:
    """Blobs of several sizes, uint8."""
    rng = np.random.default_rng(seed)
    shape = (height, width) if channels is None else (height, width, channels)
    out = sum(s * ndimage.gaussian_filter(rng.normal(size=shape), (s, s, 0)[: len(shape)]) for s in (1, 3, 8))
    out = (out - out.min()) / (out.max() - out.min())
    return (255 * out).astype(np.uint8)


def gathered(image: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Bin size -> x, y, descriptors of all its points."""
    found: dict[int, list] = {}
    for block in dense_sift(image):
        found.setdefault(block.bin_size, []).append((block.x, block.y, block.descriptors))
    return {size: tuple(np.concatenate(part) for part in zip(*blocks, strict=True)) for size, blocks in found.items()}


def by_loop(grey: np.ndarray, x: int, y: int, size: int) -> np.ndarray:
    """SIFT, of unit length, around one point, gradient by gradient in double precision."""
    height, width = grey.shape
    smooth = ndimage.gaussian_filter(
        grey.astype(np.float64) / 255, size / 6, mode="nearest", radius=math.ceil(4 * size / 6)
    )
    dy, dx = np.gradient(smooth)
    histogram = np.zeros((4, 4, 8))
    for row in range(4):
        for column in range(4):
            middle_y, middle_x = y + (row - 1.5) * size, x + (column - 1.5) * size
            window = [
                np.mean([math.exp(-0.5 * (((b - 1.5) * size - d) / (1.5 * size)) ** 2) for d in range(1 - size, size)])
                for b in (row, column)
            ]
            for v in range(1 - size, size):
                for u in range(1 - size, size):
                    py = min(max(int(middle_y + v), 0), height - 1)
                    px = min(max(int(middle_x + u), 0), width - 1)
                    length = math.hypot(dx[py, px], dy[py, px])
                    turn = math.atan2(dy[py, px], dx[py, px]) / (math.pi / 4) % 8
                    weight = (1 - abs(u) / size) * (1 - abs(v) / size) * window[0] * window[1] * length
                    lower = math.floor(turn)
                    histogram[row, column, lower % 8] += (1 - turn + lower) * weight
                    histogram[row, column, (lower + 1) % 8] += (turn - lower) * weight
    sift = histogram.ravel() / np.linalg.norm(histogram)
    sift = np.minimum(sift, 0.2)
    return sift / np.linalg.norm(sift)


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", BIN_SIZES)
def test_equals_a_plain_loop(size):
    grey = texture(61, 70)
    x, y, descriptors = gathered(grey)[size]
    for i in {0, 1, len(x) // 2, len(x) // 3, len(x) - 1}:  # the first and the last touch the photo's edge
        sift = by_loop(grey, int(x[i]), int(y[i]), size)
        np.testing.assert_allclose(descriptors[i], np.sqrt(sift / sift.sum()), atol=3e-4)


def test_rounded_to_bytes():
    """By hand from the exact ones; a number that lies on the border of two may be either."""
    image = texture(80, 90)
    exact = np.concatenate([block.descriptors for block in dense_sift(image)]).astype(np.float64) ** 2
    whole = np.minimum(np.floor(512 * exact / np.linalg.norm(exact, axis=1, keepdims=True)), 255)
    expected = np.sqrt(whole / whole.sum(axis=1, keepdims=True))
    found = np.concatenate([block.descriptors for block in dense_sift(image, rounded=True)])
    assert (np.abs(found - expected).max(axis=1) < 1e-5).mean() > 0.95
    np.testing.assert_allclose(found**2 * whole.sum(axis=1, keepdims=True), whole, atol=1.3)
    assert np.abs(found - np.sqrt(exact)).max() > 0.01


def test_rows_are_rootsift():
    descriptors = np.concatenate([d for _, _, d in gathered(texture(80, 90)).values()])
    assert descriptors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-5)
    assert descriptors.min() >= 0
    sift = descriptors**2
    sift /= np.linalg.norm(sift, axis=1, keepdims=True)
    # clamped at 0.2 before it was of unit length again; that only lets it grow, rarely beyond this
    assert 0.2 <= sift.max() < 0.4


@pytest.mark.parametrize(("along", "sign", "orientation"), [(1, 1, 0), (0, 1, 2), (1, -1, 4), (0, -1, 6)])
def test_a_ramp_by_hand(along, sign, orientation):
    grey = np.full((64, 64), 128, np.uint8)
    grey += (sign * (np.indices((64, 64))[along] - 32) * 3).astype(np.int8).view(np.uint8)
    for size, (x, y, descriptors) in gathered(grey).items():
        inside = (np.abs(x - 32) < 4) & (np.abs(y - 32) < 4)
        found = (descriptors[inside] ** 2).reshape(-1, 4, 4, 8)
        assert len(found)
        others = np.delete(found, orientation, axis=3)
        assert others.max() < 1e-5
        # all gradients alike: bins differ by the mean of the window over them
        steps = np.arange(1 - size, size)
        near, far = (np.exp(-0.5 * ((steps - m * size) / (1.5 * size)) ** 2).mean() for m in (0.5, 1.5))
        w = np.outer([far, near, near, far], [far, near, near, far])
        clamped = np.minimum(w / np.linalg.norm(w), 0.2)
        expected = np.broadcast_to(clamped / clamped.sum(), (len(found), 4, 4))
        np.testing.assert_allclose(found[..., orientation], expected, atol=1e-4)


def test_a_diagonal_gradient_is_shared_by_no_one():
    grey = np.clip(np.add(*np.indices((64, 64))) * 2, 0, 255).astype(np.uint8)
    x, y, descriptors = gathered(grey)[4]
    inside = (np.abs(x - 28) < 5) & (np.abs(y - 28) < 5)
    found = descriptors[inside].reshape(-1, 16, 8) ** 2
    assert found[:, :, 1].sum() == pytest.approx(len(found), rel=1e-5)


def cosines_with_opencv(grey: np.ndarray, size: int) -> np.ndarray:
    """Of our SIFT and OpenCV's at every 37th point: it takes a keypoint's time for each."""
    x, y, descriptors = gathered(grey)[size]
    pick = slice(None, None, 37)
    # OpenCV: a bin is 3 scales, a keypoint's size 2 of them; it takes photos to be smoothed by 0.5 pixels already
    sift = cv2.SIFT_create(sigma=math.hypot(size / 6, 0.5))
    points = [cv2.KeyPoint(float(u), float(v), 2 * size / 3, 0.0) for u, v in zip(x[pick], y[pick], strict=True)]
    kept, other = sift.compute(grey, points)
    assert len(kept) == len(points)
    # its y axis points up: directions run the other way round
    other = other.reshape(-1, 16, 8)[..., (-np.arange(8)) % 8].reshape(-1, 128).astype(np.float64)
    ours = descriptors[pick].astype(np.float64) ** 2
    return (ours * other).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(other, axis=1)


@pytest.mark.parametrize("size", BIN_SIZES)
def test_like_opencvs_on_texture(size):
    cosines = cosines_with_opencv(texture(120, 150), size)
    # it weights each gradient by the window, 2 bins wide, where we weight whole bins, and rounds to 8 bits
    assert np.median(cosines) > 0.985
    assert cosines.min() > 0.9


def test_like_opencvs_on_real_photos(campus):
    for name in ("west_day.csv", "west_night.csv"):
        with open(campus / name, newline="") as file:
            row = next(csv.DictReader(file))
        grey = np.asarray(Image.open(campus / row["path"]).convert("L"))
        for size in BIN_SIZES:
            cosines = cosines_with_opencv(grey, size)
            assert np.median(cosines) > 0.985
            assert np.quantile(cosines, 0.01) > 0.93


# -- the grid -------------------------------------------------------------------------------------------------------


def test_points_of_all_scales_share_their_middles():
    found = gathered(texture(52, 75))
    assert list(found) == list(BIN_SIZES)
    for size, (x, y, descriptors) in found.items():
        # the outermost bins' middles are 1.5 bins from the point's, and inside the photo
        xs, ys = np.arange(15, 75 - 1.5 * size, 2), np.arange(15, 52 - 1.5 * size, 2)
        np.testing.assert_array_equal(x, np.tile(xs, len(ys)))
        np.testing.assert_array_equal(y, np.repeat(ys, len(xs)))
        assert len(descriptors) == len(x)


def test_a_vga_photo_has_270_thousand():
    counts = {size: len(x) for size, (x, _, _) in gathered(texture(480, 640)).items()}
    assert counts == {4: 310 * 230, 6: 308 * 228, 8: 307 * 227, 10: 305 * 225}


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((22, 22), [4]), ((21, 60), []), ((60, 21), []), ((25, 25), [4, 6]), ((28, 99), [4, 6, 8]),
     ((31, 31), [4, 6, 8, 10]), ((8, 8), []), ((1, 1), []), ((1, 300), [])],
)  # fmt: skip
def test_small_photos_have_fewer_scales(shape, sizes):
    grey = texture(100, 300)[: shape[0], : shape[1]]
    assert list(gathered(grey)) == sizes
    assert (min(shape) >= SMALLEST) == bool(sizes)


def test_blocks_are_of_limited_size(monkeypatch):
    image = texture(70, 80)
    whole = gathered(image)
    monkeypatch.setattr(module, "BLOCK", 100)
    blocks = list(dense_sift(image))
    assert max(len(block.x) for block in blocks) == 100
    for size, parts in gathered(image).items():
        for part, other in zip(parts, whole[size], strict=True):
            np.testing.assert_array_equal(part, other)


# -- contrast -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 77, 255])
def test_photos_of_one_colour_have_no_points(value):
    assert list(dense_sift(np.full((50, 60, 3), value, np.uint8))) == []


def test_the_contrast_threshold_by_hand():
    # a ramp of slope g has the contrast g * (sum of the windows' means * size)^2 / (3 size + 1)^2
    for slope in (1, 2):
        grey = np.tile((np.arange(100) * slope).astype(np.uint8), (100, 1))
        contrast = {
            size: slope / 255 * (module.bin_weights(size).sum() * size / (3 * size + 1)) ** 2 for size in BIN_SIZES
        }
        assert {size for size, value in contrast.items() if value >= 0.005} == set(gathered(grey))
        assert bool(gathered(grey)) == (slope == 2)


def test_what_has_no_contrast_is_left_out():
    grey = texture(100, 160)
    grey[:, 80:] = 90
    for size, (x, _, descriptors) in gathered(grey).items():
        assert x.max() > 80 - 1.5 * size  # points whose bins reach into the texture
        assert x.max() < 80 + 2.5 * size + math.ceil(4 * size / 6)
        assert np.isfinite(descriptors).all()


# -- undefined pixels -----------------------------------------------------------------------------------------------


def with_hole(image: np.ndarray, hole: np.ndarray, colours: np.ndarray) -> np.ndarray:
    out = np.dstack([image, np.where(hole, 0, 255)]).astype(np.uint8)
    out[hole, :3] = colours[hole]
    return out


@pytest.mark.parametrize("kind", ["block", "pixel", "corner", "specks"])
def test_what_lies_in_a_hole_changes_nothing(kind):
    image, hole = texture(120, 140, channels=3), np.zeros((120, 140), bool)
    if kind == "specks":
        hole[::55, ::60] = True
    else:
        hole[{"block": np.s_[40:60, 50:90], "pixel": np.s_[60, 70], "corner": np.s_[:30, 110:]}[kind]] = True
    black = gathered(with_hole(image, hole, np.zeros_like(image)))
    noise = gathered(with_hole(image, hole, texture(120, 140, seed=1, channels=3)))
    plain = gathered(image)
    assert black.keys() == noise.keys()
    assert 0 < sum(len(x) for x, _, _ in black.values()) < sum(len(x) for x, _, _ in plain.values())
    for size, (x, y, descriptors) in black.items():
        for part, other in zip((x, y, descriptors), noise[size], strict=True):
            np.testing.assert_array_equal(part, other)
        row = {point: i for i, point in enumerate(zip(plain[size][0], plain[size][1], strict=True))}
        rows = [row[point] for point in zip(x, y, strict=True)]
        np.testing.assert_array_equal(descriptors, plain[size][2][rows])


@pytest.mark.parametrize("size", BIN_SIZES)
def test_no_more_is_left_out_than_an_undefined_pixel_has_part_in(size):
    white, black = texture(120, 140, channels=3), None
    hole = np.zeros((120, 140), bool)
    hole[61, 71] = True
    black = white.copy()
    white[hole], black[hole] = 255, 0
    (x, y, one), (_, _, other) = gathered(white)[size], gathered(black)[size]
    changed = (one != other).any(axis=1)
    kept = gathered(with_hole(white, hole, white))[size]
    kept = set(zip(kept[0], kept[1], strict=True))
    dropped = np.array([point not in kept for point in zip(x, y, strict=True)])
    assert not (changed & ~dropped).any()
    for axis in (x, y):  # and as far out as a change reaches
        assert (axis[changed].min(), axis[changed].max()) == (axis[dropped].min(), axis[dropped].max())


def test_all_defined_and_all_undefined():
    image = texture(60, 70, channels=3)
    plain, opaque = gathered(image), gathered(np.dstack([image, np.full((60, 70), 255, np.uint8)]))
    for size in BIN_SIZES:
        np.testing.assert_array_equal(plain[size][2], opaque[size][2])
    assert gathered(np.dstack([image, np.zeros((60, 70), np.uint8)])) == {}


# -- what is handed in ----------------------------------------------------------------------------------------------


def test_grey_and_colour():
    colour = texture(50, 60, channels=3)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    a, b = gathered(colour), gathered(grey)
    for size in BIN_SIZES:
        assert (a[size][2] * b[size][2]).sum(axis=1).min() > 0.99  # Pillow and OpenCV round differently
    thrice, single = gathered(np.repeat(grey[..., None], 3, axis=2)), gathered(grey[..., None])
    for size in BIN_SIZES:
        np.testing.assert_array_equal(b[size][2], thrice[size][2])
        np.testing.assert_array_equal(b[size][2], single[size][2])


def test_views_of_arrays():
    image = texture(50, 120, channels=3)
    for view in (image[::-1, ::2], image.transpose(1, 0, 2), image[..., 0].T, image[:, ::-1, 1]):
        before = view.copy()
        found, expected = gathered(view), gathered(np.ascontiguousarray(view))
        assert found.keys() == expected.keys()
        for size in found:
            np.testing.assert_array_equal(found[size][2], expected[size][2])
        np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize(
    "image",
    [np.zeros((30, 30), np.float32), np.zeros((30, 30, 2), np.uint8), np.zeros((0, 30, 3), np.uint8),
     np.zeros((2, 30, 30, 3), np.uint8), np.zeros(30, np.uint8)],
)  # fmt: skip
def test_what_is_no_image(image):
    with pytest.raises(ImageError, match="must be HxW, HxWx3 or HxWx4 uint8, got"):
        list(dense_sift(image))


def test_mirrored_photos_have_mirrored_descriptors(campus):
    with open(campus / "east_day.csv", newline="") as file:
        image = read_image(campus / next(csv.DictReader(file))["path"])[:, :-1]  # of odd width: the grid mirrors itself
    one, other = gathered(image), gathered(np.ascontiguousarray(image[:, ::-1]))
    for size in BIN_SIZES:
        x, y, descriptors = one[size]
        mirrored = {point: i for i, point in enumerate(zip(other[size][0], other[size][1], strict=True))}
        pairs = [(i, mirrored[image.shape[1] - 1 - u, v]) for i, (u, v) in enumerate(zip(x, y, strict=True))
                 if (image.shape[1] - 1 - u, v) in mirrored]  # fmt: skip
        assert len(pairs) > 1000
        i, j = np.array(pairs).T
        back = other[size][2].reshape(-1, 4, 4, 8)[:, :, ::-1][..., (4 - np.arange(8)) % 8].reshape(-1, 128)
        np.testing.assert_allclose(descriptors[i], back[j], atol=2e-3)
