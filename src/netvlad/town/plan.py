"""The plan of a neighbourhood: streets, lots, trees and lamps, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from netvlad.town.styles import STOREY, STYLES
from netvlad.types import Array

Box: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1

MARGIN = 46.0  # metres that streets and houses extend beyond the last crossing
DEPTH = 11.0  # metres from the front of a house to its back


@dataclass(frozen=True)
class Street:
    """A straight street from `start` to `end` (x, y). kerb: half the width of its roadway. half: of all of it."""

    start: Array
    end: Array
    kerb: float
    half: float
    trees: bool

    @property
    def along(self) -> Array:
        """Unit vector from start to end."""
        return np.asarray((self.end - self.start) / self.length)

    @property
    def right(self) -> Array:
        """Unit vector to the right of `along`."""
        return np.array([self.along[1], -self.along[0]])

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.end - self.start))

    @property
    def heading(self) -> float:
        """Degrees clockwise from the plan's y axis."""
        return float(np.degrees(np.arctan2(*self.along)))


@dataclass(frozen=True)
class Lot:
    """The plot of a house. corner: left end of its front as seen from the street; right: unit vector along the front.

    width, depth: metres. style, colour: indices into STYLES and its walls. corners: whether its left and its right
    side face a street too.
    """

    corner: Array
    right: Array
    width: float
    depth: float
    storeys: int
    style: int
    colour: int
    shop: bool
    gabled: bool
    corners: tuple[bool, bool]
    seed: int

    @property
    def back(self) -> Array:
        """Unit vector away from the street."""
        return np.array([-self.right[1], self.right[0]])

    @property
    def height(self) -> float:
        return self.storeys * STOREY + 0.6


@dataclass
class Plan:
    """Everything that does not change from date to date, in metres on a plane, x to the right, y ahead.

    crossings: pairs of streets that meet, one along y and one along x. low, high: corners of the bounding box.
    """

    streets: list[Street] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    trees: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, height
    lamps: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, direction of the arm
    parks: list[Box] = field(default_factory=list)
    crossings: list[tuple[int, int]] = field(default_factory=list)
    low: Array = field(default_factory=lambda: np.zeros(2))
    high: Array = field(default_factory=lambda: np.zeros(2))


def draw_plan(rng: np.random.Generator, across: int, along: int) -> Plan:
    """Draw `across` streets along y, `along` streets along x, and everything beside them."""
    xs = np.cumsum(rng.uniform(52, 76, across))
    ys = np.cumsum(rng.uniform(52, 76, along))
    plan = Plan(low=np.array([xs[0], ys[0]]) - MARGIN, high=np.array([xs[-1], ys[-1]]) + MARGIN)
    halves: dict[int, list[float]] = {0: [], 1: []}
    for axis, lines in ((0, xs), (1, ys)):
        for at in lines:
            kerb = float(rng.choice([3.2, 4.2, 5.4]))
            half = kerb + float(rng.uniform(2.4, 3.6))
            start, end = plan.low.copy(), plan.high.copy()
            start[axis] = end[axis] = at
            plan.streets.append(Street(start, end, kerb, half, bool(rng.random() < 0.5)))
            halves[axis].append(half)
    plan.crossings = [(i, across + j) for i in range(across) for j in range(along)]
    edges_x = _blocks(xs, halves[0], plan.low[0], plan.high[0])
    edges_y = _blocks(ys, halves[1], plan.low[1], plan.high[1])
    inner = [(i, j) for i in range(1, across) for j in range(1, along)]
    park = inner[rng.integers(len(inner))] if len(inner) > 1 else None
    for i, (x0, x1) in enumerate(edges_x):
        for j, (y0, y1) in enumerate(edges_y):
            if (i, j) == park:
                _park(rng, plan, x0, y0, x1, y1)
            else:  # on the outside there is no street to face
                _block(rng, plan, (x0, y0, x1, y1), west=i > 0, east=i < across, south=j > 0, north=j < along)
    for street in plan.streets:
        _furnish(rng, plan, street)
    return plan


def _blocks(lines: Array, halves: list[float], low: float, high: float) -> list[tuple[float, float]]:
    """Intervals between parallel streets on `lines`."""
    starts = [low, *(line + half for line, half in zip(lines, halves, strict=True))]
    ends = [*(line - half for line, half in zip(lines, halves, strict=True)), high]
    return list(zip(starts, ends, strict=True))


def _block(rng: np.random.Generator, plan: Plan, box: Box, *, west: bool, east: bool, south: bool, north: bool) -> None:
    """Put houses along the sides of a block that face a street: south and north from corner to corner."""
    x0, y0, x1, y1 = box
    inset0 = DEPTH if south else 0.0
    inset1 = DEPTH if north else 0.0
    if south:
        _row(rng, plan, (x0, y0), (1, 0), x1 - x0, (west, east))
    if north:
        _row(rng, plan, (x1, y1), (-1, 0), x1 - x0, (east, west))
    if west:
        _row(rng, plan, (x0, y1 - inset1), (0, -1), y1 - y0 - inset0 - inset1, (False, False))
    if east:
        _row(rng, plan, (x1, y0 + inset0), (0, 1), y1 - y0 - inset0 - inset1, (False, False))


def _row(
    rng: np.random.Generator,
    plan: Plan,
    start: Iterable[float],
    direction: Iterable[float],
    length: float,
    ends: tuple[bool, bool],
) -> None:
    """Put houses side by side, and now and then a yard with a tree."""
    corner, right = np.array(start, float), np.array(direction, float)
    count = max(1, round(length / rng.uniform(9, 14)))
    cuts = np.sort(rng.uniform(0.25, 0.75, count - 1) + np.arange(1, count) - 0.5) / count * length
    cuts = np.concatenate([[0], cuts, [length]])
    run, style = 0, 0
    for i, (a, b) in enumerate(pairwise(cuts)):
        last = i == count - 1
        if run == 0:  # one to three houses of a style in a row, as in real terraces
            run, style = int(rng.integers(1, 4)), int(rng.integers(len(STYLES)))
        run -= 1
        at_end = (ends[0] and i == 0, ends[1] and last)
        if rng.random() < 0.07 and not any(at_end):
            spot = corner + right * (a + b) / 2 + np.array([-right[1], right[0]]) * 5
            plan.trees.append((*spot, float(rng.uniform(5, 8))))
            continue
        kind = STYLES[style]
        back = np.array([-right[1], right[0]]) * float(rng.choice([0, 0, 0.25, 0.6]))
        plan.lots.append(
            Lot(
                corner=corner + right * a + back,
                right=right,
                width=float(b - a),
                depth=DEPTH - float(np.abs(back).sum()),
                storeys=int(rng.integers(kind.storeys[0], kind.storeys[1] + 1)),
                style=style,
                colour=int(rng.integers(len(kind.walls))),
                shop=bool(rng.random() < 0.42),
                gabled=bool(rng.random() < kind.gabled),
                corners=at_end,
                seed=int(rng.integers(1 << 31)),
            )
        )


def _park(rng: np.random.Generator, plan: Plan, x0: float, y0: float, x1: float, y1: float) -> None:
    plan.parks.append((x0, y0, x1, y1))
    for _ in range(round((x1 - x0) * (y1 - y0) / 90)):
        plan.trees.append(
            (float(rng.uniform(x0 + 2, x1 - 2)), float(rng.uniform(y0 + 2, y1 - 2)), float(rng.uniform(5, 10)))
        )


def _furnish(rng: np.random.Generator, plan: Plan, street: Street) -> None:
    """Put lamps on alternating sides, and on some streets trees between them, but nothing on a crossing."""
    side = rng.choice([-1, 1])
    for d in np.arange(rng.uniform(4, 14), street.length - 3, 19.0):
        d += rng.uniform(-2, 2)
        if not on_crossing(plan, street, d, 2.0):
            x, y = street.start + street.along * d + street.right * side * (street.kerb + 0.5)
            plan.lamps.append((float(x), float(y), *(-side * street.right)))
        side = -side
    if not street.trees:
        return
    for d in np.arange(rng.uniform(2, 8), street.length - 2, rng.uniform(8, 13)):
        for s in (-1, 1):
            if rng.random() < 0.75 and not on_crossing(plan, street, d, 3.0):
                x, y = street.start + street.along * d + street.right * s * (street.kerb + 0.9)
                if all(np.hypot(x - lamp[0], y - lamp[1]) > 2.5 for lamp in plan.lamps):
                    plan.trees.append((float(x), float(y), float(rng.uniform(5, 9))))


def on_crossing(plan: Plan, street: Street, along: float, clear: float) -> bool:
    """Whether another street crosses `along` metres down this one, or within `clear` metres of there."""
    point = street.start + street.along * along
    for other in plan.streets:
        parallel = abs(float(other.along @ street.along)) > 0.5
        if not parallel and abs(float((point - other.start) @ other.right)) < other.half + clear:
            return True
    return False
