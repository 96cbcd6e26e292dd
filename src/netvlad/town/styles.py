"""A catalogue of house styles, and of the words and colours on houses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]  # sRGB, 0..255

STOREY = 3.2  # height in metres


@dataclass(frozen=True)
class Style:
    """A style of houses.

    walls: colours to choose from. bay: metres from window to window. window: its share of the bay's width and the
    storey's height. frame: colour. panes: number across and down. storeys: fewest and most.
    """

    walls: tuple[Colour, ...]
    bay: float
    window: tuple[float, float]
    frame: Colour
    panes: tuple[int, int]
    courses: float  # metres from one course of stone to the next; 0: plain wall
    lintel: int = 0  # how much lighter the stone above a window is than the wall
    arched: bool = False
    shutters: bool = False
    band: bool = False  # a ledge between storeys
    storeys: tuple[int, int] = (3, 5)
    gabled: float = 0.0  # share of houses with a gabled roof


STYLES = (
    Style(
        ((142, 70, 54), (120, 58, 48), (158, 92, 66)),
        2.6,
        (0.42, 0.56),
        (232, 228, 214),
        (2, 2),
        0.25,
        50,
        storeys=(2, 4),
        gabled=0.6,
    ),
    Style(
        ((206, 190, 158), (190, 172, 140)),
        3.0,
        (0.40, 0.62),
        (92, 70, 52),
        (2, 3),
        0.55,
        26,
        arched=True,
        band=True,
        storeys=(3, 5),
        gabled=0.2,
    ),
    Style(
        ((226, 202, 150), (216, 176, 150), (188, 204, 196), (232, 226, 208)),
        2.8,
        (0.34, 0.54),
        (240, 240, 236),
        (2, 2),
        0.0,
        12,
        shutters=True,
        storeys=(2, 4),
        gabled=0.8,
    ),
    Style(
        ((118, 128, 136), (150, 150, 146)), 2.4, (0.86, 0.66), (60, 64, 70), (2, 1), 0.0, 0, band=True, storeys=(4, 7)
    ),
    Style(
        ((176, 172, 164), (160, 156, 152), (196, 192, 186)),
        3.6,
        (0.66, 0.50),
        (50, 52, 56),
        (3, 1),
        0.0,
        8,
        band=True,
        storeys=(3, 6),
    ),
    Style(
        ((96, 62, 52), (84, 78, 74)),
        2.4,
        (0.44, 0.64),
        (206, 200, 184),
        (1, 2),
        0.25,
        70,
        arched=True,
        band=True,
        storeys=(3, 5),
        gabled=0.5,
    ),
)

DOORS = ((120, 30, 32), (24, 70, 52), (30, 52, 110), (70, 46, 30), (210, 170, 40), (30, 30, 34), (190, 190, 184))
SIGNS = (
    (176, 28, 30),
    (20, 60, 130),
    (18, 92, 60),
    (230, 180, 30),
    (30, 30, 34),
    (240, 236, 224),
    (110, 40, 110),
    (220, 100, 24),
)
_TRADES = (
    "BAKERY CAFE HOTEL BOOKS PHARMACY OPTICS FLORIST BAR PIZZA SHOES BIKES BANK CINEMA TEA RECORDS TAILOR GROCER "
    "BUTCHER TOYS MUSIC HARDWARE LAUNDRY GALLERY CLOCKS NOODLES BARBER"
)
_NAMES = (
    "ADLER LUNA KOVACS MORI ROSA BLOOM NORTH IVO PARK ANNA OTTO STERN VEGA ELM DANUBE MIRA SOLE HUGO TALIA QUINN ZORA "
    "PETROV LIND COSTA AMBER FOX RIVER SATO"
)
TRADES, NAMES = _TRADES.split(), _NAMES.split()
