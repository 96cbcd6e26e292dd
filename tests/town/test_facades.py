from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.facades import SIGN, facade, posters
from netvlad.town.styles import STOREY, STYLES


def front(style, width=9.0, storeys=3, shop=False, seed=0, scale=20) -> np.ndarray:
    return facade(np.random.default_rng(seed), style, style.walls[0], width, storeys, shop, scale)


def storey(image: np.ndarray, number: int, scale: int = 20) -> np.ndarray:
    """The codes of a storey, its cornice left out."""
    bottom = image.shape[0] - round(number * STOREY * scale)
    return image[bottom - round(STOREY * scale) : bottom, :, 3]


@pytest.mark.parametrize("style", STYLES, ids=range(len(STYLES)))
@pytest.mark.parametrize("shop", [False, True])
def test_a_front(style, shop):
    image = front(style, shop=shop)
    assert (image.shape, image.dtype) == ((round((3 * STOREY + 0.6) * 20), 180, 4), np.uint8)
    bays = max(1, round((9.0 - 0.6) / style.bay))
    for number in (1, 2):
        codes = set(np.unique(storey(image, number))) - {0, 253, SIGN}
        if not (shop and number == 1):  # a sign covers what it covers
            assert len(codes) == bays  # each window has a number of its own
    numbers = image[..., 3]
    assert SIGN in numbers if shop else not ({253, SIGN} & set(numbers.ravel()))
    np.testing.assert_array_equal(image, front(style, shop=shop))
    assert (image != front(style, shop=shop, seed=1)).any()


def test_windows_are_spread_evenly():
    style = STYLES[3]  # nearly all glass
    second = storey(front(style, width=12.0), 2)
    codes = [c for c in np.unique(second) if c]
    middles = sorted(np.argwhere(second == c)[:, 1].mean() for c in codes)
    np.testing.assert_allclose(np.diff(middles), 12.0 * 20 / len(codes), atol=2)
    np.testing.assert_allclose(middles[0] + middles[-1], 240, atol=3)


def test_a_shop_has_its_window_below_its_sign():
    image = front(STYLES[0], shop=True)
    rows = image.shape[0] - np.argwhere(image[..., 3] == SIGN)[:, 0]
    assert (rows.min() >= 2.9 * 20, rows.max() <= 3.8 * 20) == (True, True)
    glass = image.shape[0] - np.argwhere(image[..., 3] == 253)[:, 0]
    assert glass.max() < rows.min()
    assert len(glass) > 500


@pytest.mark.parametrize(("width", "storeys"), [(0.5, 1), (3.0, 7), (40.0, 2)])
def test_ugly_sizes(width, storeys):
    for shop in (False, True):
        if shop and width < 3:
            continue  # no lot is as narrow
        image = front(STYLES[2], width, storeys, shop, scale=8)
        assert image.shape == (round((storeys * STOREY + 0.6) * 8), max(2, round(width * 8)), 4)


def test_bills():
    image = posters(np.random.default_rng(0), 6.0, 2.4, (1, 2, 3))
    assert image.shape == (48, 120, 4)
    assert not image[..., 3].any()
    posted = (image[..., :3] != (1, 2, 3)).any(axis=-1)
    assert 0.1 < posted.mean() < 0.9
    assert not posted[:4].any()  # up to 2.1 m
    assert posters(np.random.default_rng(0), 0.1, 2.4, (1, 2, 3)).shape == (48, 4, 4)
