"""A catalogue of house styles, and of the words and colours on houses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]  # sRGB, 0..255

STOREY = 3.2  # height in metres


def rgb(hexadecimal: str) -> tuple[Colour, ...]:
    """Parse colours such as "781e20 184634"."""
    return tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in hexadecimal.split())


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
        rgb("8e4636 783a30 9e5c42"), 2.6, (0.42, 0.56), (232, 228, 214), (2, 2), 0.25, 50, storeys=(2, 4), gabled=0.6
    ),
    Style(
        rgb("cebe9e beac8c"),
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
        rgb("e2ca96 d8b096 bcccc4 e8e2d0"),
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
    Style(rgb("768088 969692"), 2.4, (0.86, 0.66), (60, 64, 70), (2, 1), 0.0, 0, band=True, storeys=(4, 7)),
    Style(rgb("b0aca4 a09c98 c4c0ba"), 3.6, (0.66, 0.50), (50, 52, 56), (3, 1), 0.0, 8, band=True, storeys=(3, 6)),
    Style(
        rgb("603e34 544e4a"),
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

DOORS = rgb("781e20 184634 1e346e 462e1e d2aa28 1e1e22 bebeb8")
SIGNS = rgb("b01c1e 143c82 125c3c e6b41e 1e1e22 f0ece0 6e286e dc6418")
_TRADES = (
    "BAKERY CAFE HOTEL BOOKS PHARMACY OPTICS FLORIST BAR PIZZA SHOES BIKES BANK CINEMA TEA RECORDS TAILOR GROCER "
    "BUTCHER TOYS MUSIC HARDWARE LAUNDRY GALLERY CLOCKS NOODLES BARBER"
)
_NAMES = (
    "ADLER LUNA KOVACS MORI ROSA BLOOM NORTH IVO PARK ANNA OTTO STERN VEGA ELM DANUBE MIRA SOLE HUGO TALIA QUINN ZORA "
    "PETROV LIND COSTA AMBER FOX RIVER SATO"
)
TRADES, NAMES = _TRADES.split(), _NAMES.split()
