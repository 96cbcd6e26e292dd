from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.town.paint import Painter, font, grain, wall


@pytest.fixture
def board():
    """A painter of 10 pixels a metre on 4 x 3 metres, and what it painted: colours and codes."""
    paint = Painter(Image.new("RGB", (40, 30)), 10)
    return paint, lambda: (paint.texture()[..., :3], paint.texture()[..., 3])


def test_metres_from_the_lower_left(board):
    paint, seen = board
    paint.rect(1.0, 0.5, 3.0, 2.0, (10, 20, 30), 5)
    wanted = np.zeros((30, 40), bool)
    wanted[10:25, 10:30] = True  # 2.0 m up is 10 pixels below the upper edge
    colours, codes = seen()
    np.testing.assert_array_equal(codes, np.where(wanted, 5, 0))
    np.testing.assert_array_equal(colours, np.where(wanted[..., None], (10, 20, 30), 0))


def test_neighbours_meet_and_nothing_vanishes(board):
    paint, seen = board
    paint.rect(0, 0, 2, 3, (1, 1, 1), 1)
    paint.rect(2, 0, 4, 3, (2, 2, 2), 2)
    assert [(seen()[1] == code).sum() for code in (1, 2)] == [600, 600]
    paint.rect(1.01, 1.01, 1.02, 1.02, (3, 3, 3), 3)  # thinner than a pixel
    assert (seen()[1] == 3).sum() == 1


def test_an_arched_top(board):
    paint, seen = board
    paint.rect(1.0, 0.0, 3.0, 2.5, (9, 9, 9), 4, round_top=True)
    codes = seen()[1]
    assert codes[29, 10] == codes[29, 29] == codes[5, 20] == 4
    assert codes[5, 10] == codes[5, 29] == 0  # its corners


def test_words_fit_their_board(board):
    paint, seen = board
    paint.rect(0.5, 1.0, 3.5, 2.0, (0, 0, 0), 0)
    for text in ("I", "PHARMACY KOVACS"):
        paint.word(text, 0.5, 1.0, 3.5, 2.0, (255, 255, 255), 254)
        colours, codes = seen()
        ink = np.argwhere(colours[..., 0] > 60)
        assert len(ink)
        assert ink[:, 0].min() >= 10
        assert ink[:, 0].max() < 20
        if text == "I":
            assert abs(ink[:, 1].mean() - 20) < 2  # in the middle
        assert (codes[10:20, 5:35] == 254).all()
        assert not codes[21:].any()
    assert font(12) is font(12)


def test_grain_is_near_one():
    for shape in ((60, 90), (300, 8), (2, 2)):
        factor = grain(np.random.default_rng(0), *shape)
        assert (factor.shape, factor.dtype) == ((*shape, 1), np.float32)
        assert abs(factor.mean() - 1) < 0.15
        assert 0.5 < factor.min() < factor.max() < 1.5
    plain = grain(np.random.default_rng(0), 40, 50, strength=0.0)
    np.testing.assert_array_equal(plain, 1)


def test_a_wall():
    rng = np.random.default_rng
    image = wall(rng(1), (180, 120, 90), 6.0, 9.0, 10)
    assert (image.shape, image.dtype) == ((90, 60, 4), np.uint8)
    assert not image[..., 3].any()
    np.testing.assert_allclose(image[10:80, :, :3].mean(axis=(0, 1)), (180, 120, 90), rtol=0.12)
    assert image[-1, :, 0].mean() < 0.85 * image[60, :, 0].mean()  # splashed at the foot
    np.testing.assert_array_equal(image, wall(rng(1), (180, 120, 90), 6.0, 9.0, 10))
    assert (image != wall(rng(2), (180, 120, 90), 6.0, 9.0, 10)).any()
    assert wall(rng(1), (250, 250, 250), 0.01, 0.01, 10).shape == (2, 2, 4)


def test_courses_are_as_far_apart_as_they_should():
    def rows(courses: float) -> np.ndarray:
        """How dark each row of pixels is against one without courses."""
        plain, laid = (wall(np.random.default_rng(1), (150, 150, 150), 8, 8, 20, c) for c in (0.0, courses))
        with np.errstate(invalid="ignore"):
            return np.median(laid[..., 0].astype(float) / plain[..., 0], axis=1)

    brick = np.flatnonzero(rows(0.25) < 0.95)
    assert set(np.diff(brick)) <= {1, 4, 5, 6}  # 5 pixels to a course
    assert 30 <= (np.diff(brick) > 1).sum() + 1 <= 33  # 8 m
    stone = wall(np.random.default_rng(1), (150, 150, 150), 8, 8, 20, 0.55)
    plain = wall(np.random.default_rng(1), (150, 150, 150), 8, 8, 20)
    joints = set(np.flatnonzero(stone[15, :, 0] < 0.95 * plain[15, :, 0]))
    assert 6 <= len(joints) <= 16
    assert {j + 22 for j in joints if j < 138} <= joints  # upright joints, 1.1 m apart
