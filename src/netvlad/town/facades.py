"""Facades in a small catalogue of styles, so that they repeat as in Pittsburgh, with details that tell them apart."""

from __future__ import annotations

import numpy as np
from PIL import Image

from netvlad.town.paint import Painter, wall
from netvlad.town.styles import DOORS, NAMES, SIGNS, STOREY, TRADES, Colour, Style
from netvlad.types import Array

FINE, COARSE = 22, 8  # pixels a metre, of fronts and of blind walls
SIGN = 254  # code of a lit sign in textures; that of a shop window is 253


def facade(
    rng: np.random.Generator, style: Style, colour: Colour, width: float, storeys: int, shop: bool, scale: int
) -> Array:
    """Paint a front with windows and a door, or a shop on the ground floor: (h, w, 4) uint8."""
    height = storeys * STOREY + 0.6
    base = wall(rng, colour, width, height, scale, style.courses)
    paint = Painter(Image.fromarray(base[..., :3]), scale)
    bays = max(1, round((width - 0.6) / style.bay))
    step = width / bays
    number = int(rng.integers(1, 200))
    for floor in range(1 if shop else 0, storeys):
        for bay in range(bays):
            if floor == 0 and bay == bays // 2:
                continue  # the door
            number = number % 252 + 1
            middle, bottom = (bay + 0.5) * step, floor * STOREY + STOREY * (1 - style.window[1]) * 0.55
            _window(rng, paint, style, colour, middle, bottom, step, number)
        if style.band:
            paint.rect(0, floor * STOREY - 0.12, width, floor * STOREY + 0.1, _lighter(colour, 22))
    if shop:
        _shop(rng, paint, width, number)
    else:
        _door(rng, paint, (bays // 2 + 0.5) * step, colour)
    paint.rect(0, height - 0.45, width, height, _lighter(colour, -28 if style.band else 24))
    paint.rect(0, height - 0.55, width, height - 0.45, _lighter(colour, -50))
    return paint.texture()


def posters(rng: np.random.Generator, width: float, height: float, ground: Colour) -> Array:
    """Paint boards with posters on them: (h, w, 4) uint8."""
    size = max(4, round(width * 20)), round(height * 20)
    paint = Painter(Image.new("RGB", size, ground), 20)
    for x in np.arange(0.2, width - 1.0, 1.25):
        if rng.random() < 0.75:
            colour, low = DOORS[rng.integers(len(DOORS))], rng.uniform(0.3, 0.6)
            paint.rect(x, low, x + 1.1, low + 1.5, colour)
            paint.rect(x + 0.15, low + 0.15, x + 0.95, low + 0.7, SIGNS[rng.integers(len(SIGNS))])
            word = (TRADES + NAMES)[rng.integers(len(TRADES) + len(NAMES))]
            ink = (240, 238, 230) if sum(colour) < 450 else (30, 30, 34)
            paint.word(word, x + 0.05, low + 0.85, x + 1.05, low + 1.3, ink, 0)
    return paint.texture()


def _window(
    rng: np.random.Generator,
    paint: Painter,
    style: Style,
    colour: Colour,
    middle: float,
    bottom: float,
    step: float,
    code: int,
) -> None:
    half, tall = step * style.window[0] / 2, STOREY * style.window[1]
    left, right, top = middle - half, middle + half, bottom + tall
    if style.lintel:
        paint.rect(
            left - 0.12, top - 0.02, right + 0.12, top + 0.28, _lighter(colour, style.lintel), round_top=style.arched
        )
        paint.rect(left - 0.1, bottom - 0.16, right + 0.1, bottom, _lighter(colour, style.lintel // 2))
    if style.shutters:
        shade = _lighter(colour, -70)
        paint.rect(left - half * 0.75, bottom, left, top, shade)
        paint.rect(right, bottom, right + half * 0.75, top, shade)
    paint.rect(left, bottom, right, top, style.frame, round_top=style.arched)
    glass = np.array((44, 54, 66)) + rng.integers(-12, 13)
    across, down = style.panes
    for i in range(across):
        for j in range(down):
            x0 = left + 0.07 + (right - left - 0.07) * i / across
            y0 = bottom + 0.07 + (tall - 0.07) * j / down
            x1, y1 = left + (right - left - 0.07) * (i + 1) / across + 0.0, bottom + (tall - 0.07) * (j + 1) / down
            paint.rect(x0, y0, x1, y1, glass, code, round_top=style.arched and j == down - 1 and across == 1)
    curtain = rng.random()
    if curtain < 0.45:  # drawn more or less, each of its own colour
        cloth = np.array((196, 190, 176)) + rng.integers(-30, 31, 3)
        if curtain < 0.2:
            paint.rect(left + 0.07, top - tall * rng.uniform(0.2, 0.6), right - 0.07, top - 0.07, cloth, code)
        else:
            wide = (right - left) * rng.uniform(0.15, 0.3)
            paint.rect(left + 0.07, bottom + 0.07, left + wide, top - 0.07, cloth, code)
            paint.rect(right - wide, bottom + 0.07, right - 0.07, top - 0.07, cloth, code)


def _door(rng: np.random.Generator, paint: Painter, middle: float, colour: Colour) -> None:
    door = DOORS[rng.integers(len(DOORS))]
    paint.rect(middle - 0.75, 0, middle + 0.75, 2.75, _lighter(colour, 46))
    paint.rect(middle - 0.52, 0.1, middle + 0.52, 2.15, door)
    paint.rect(middle - 0.40, 1.2, middle + 0.40, 2.0, _lighter(door, 24))
    paint.rect(middle - 0.52, 2.22, middle + 0.52, 2.6, (70, 74, 70), int(rng.integers(1, 253)))
    paint.word(str(rng.integers(1, 180)), middle + 0.8, 1.7, middle + 1.25, 2.0, (40, 40, 44), 0)


def _shop(rng: np.random.Generator, paint: Painter, width: float, number: int) -> None:
    board, trim = SIGNS[rng.integers(len(SIGNS))], SIGNS[rng.integers(len(SIGNS))]
    if trim == board:
        trim = (236, 232, 220) if sum(board) < 380 else (24, 24, 28)
    paint.rect(0.25, 0, width - 0.25, 2.95, _lighter(board, -26))
    door = rng.uniform(0.15, 0.85) * (width - 2.0) + 1.0
    for x0, x1 in ((0.5, door - 0.7), (door + 0.7, width - 0.5)):
        if x1 - x0 < 0.6:
            continue
        paint.rect(x0, 0.45, x1, 2.6, (52, 58, 62), 253)
        for x in np.arange(x0 + 0.15, x1 - 0.35, 0.55):  # the goods
            goods = rng.integers(60, 230, 3)
            paint.rect(x, 0.5, x + rng.uniform(0.25, 0.5), 0.5 + rng.uniform(0.3, 1.3), goods, 253)
    paint.rect(door - 0.55, 0.05, door + 0.55, 2.4, DOORS[rng.integers(len(DOORS))])
    paint.rect(door - 0.4, 0.5, door + 0.4, 2.2, (60, 66, 70), 253)
    paint.rect(0.25, 2.95, width - 0.25, 3.75, board, SIGN)
    text = TRADES[rng.integers(len(TRADES))]
    if width > 7:
        name = NAMES[rng.integers(len(NAMES))]
        text = f"{text} {name}" if rng.random() < 0.5 else f"{name} {text}"
    paint.word(text, 0.6, 3.03, width - 0.6, 3.68, trim, SIGN)


def _lighter(colour: Colour, by: int) -> Colour:
    red, green, blue = (int(np.clip(c + by, 8, 250)) for c in colour)
    return red, green, blue
