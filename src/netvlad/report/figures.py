"""Figures for a paper, as PNG and SVG: panels of curves that share one legend, told apart in grey as in colour."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.report.comparison import Line, Panel
from netvlad.report.drawing import COLOURS, LARGEST_N, LINES, MARKERS, new_figure, plain_text, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    Look = dict[str, Any]

DPI = 300
COLUMNS = 3  # panels side by side: at 2.3 inches each they fill a page of two columns
LABEL = 36  # letters of a legend's line
TITLE = 30  # and of a panel's title
SHAPES = (*MARKERS, "<", ">", "p", "d")
LINE_INCHES = 0.17  # of a legend below the panels
MEASURED = ("-", "--", "-.", LINES[4])  # published results are dotted


def draw_recall(panels: Sequence[Panel], stem: str | Path) -> list[Path]:
    """Draw recall@N in percent against N, up to 25, a panel for each set of queries: STEM.png and STEM.svg.

    Measured curves are lines with filled markers; published results are dotted, with hollow ones, in the colour of the
    method that compares with them. Raises ValueError where there is nothing to draw.
    """
    shown = [Panel(p.title, [_first_ns(line) for line in p.lines], p.measure) for p in panels]
    return _draw(shown, stem, "N, number of best matches", "recall@N (%)", _n_axis)


def draw_sweep(panels: Sequence[Panel], stem: str | Path) -> list[Path]:
    """Draw the measure of each panel in percent against the dimension of the vector, on a logarithmic axis."""
    return _draw(panels, stem, "dimension of the vector", "%", _dimension_axis)


def draw_map(panels: Sequence[Panel], stem: str | Path) -> list[Path]:
    """Draw the mean average precision of each method as a bar with its number, a panel for each benchmark."""
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    lines = [_wrapped(name) for name in names]
    height = 1.0 + 0.2 * sum(line.count("\n") + 1.3 for line in lines)
    beside = 0.07 * max(len(part) for line in lines for part in line.split("\n"))  # inches of the names
    figure, grid = _grid(len(panels), 1.8 + beside / min(len(panels), COLUMNS), height, sharey=True)
    published = {line.name for panel in panels for line in panel.lines if line.published}
    for panel, axes in zip(panels, grid, strict=False):
        share = {line.name: 100 * line.at[panel.measure] for line in panel.lines}
        for y, name in enumerate(names):
            if np.isfinite(share.get(name, np.nan)):
                look: Look = {"color": "white", "hatch": "////"} if name in published else {"color": "0.75"}
                axes.barh(y, share[name], height=0.66, edgecolor="0.2", linewidth=0.7, **look)
                axes.text(share[name] + 1.5, y, f"{share[name]:.1f}", va="center", fontsize=8)
        axes.set(xlim=(0, 112), xticks=range(0, 101, 25), ylim=(len(names) - 0.4, -0.6))
        axes.set_xlabel("mAP (%)", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_yticks(range(len(names)), lines, fontsize=8)
        axes.set_title(_titled(panel.title), loc="left", fontsize=9)
        axes.grid(axis="y", visible=False)
    return _save(figure, stem)


def _draw(
    panels: Sequence[Panel], stem: str | Path, x_label: str, y_label: str, set_x: Callable[[Axes, list[Any]], None]
) -> list[Path]:
    looks = _looks(panels)
    if not looks:
        raise ValueError("nothing to draw: no method has a number")
    labels, across = {name: _wrapped(name) for name in looks}, min(len(panels), COLUMNS)
    spare = -len(panels) % across and sum(label.count("\n") + 1 for label in labels.values()) <= 14
    columns = 1 if across == 1 and max(map(len, labels.values())) > 20 else across + (across == 1)
    below = 0 if spare else LINE_INCHES * sum(label.count("\n") + 1.2 for label in labels.values()) / columns
    width, height = (4.0, 3.0) if len(panels) == 1 else (2.3, 2.3)
    figure, grid = _grid(len(panels), width, height, below=below + 0.2)
    handles: dict[str, Line2D] = {}
    for panel, axes in zip(panels, grid, strict=False):
        handles = _plot(panel, axes, looks) | handles
        axes.set_ylim(*_range(panels))  # one for all: panels are compared with each other
        set_x(axes, sorted({x for line in panel.lines for x in line.at}) or [1])
    for i, axes in enumerate(grid[: len(panels)]):
        if i % across == 0:
            axes.set_ylabel(y_label, fontsize=9)
        if i + across >= len(panels):
            axes.set_xlabel(x_label, fontsize=9)
    options: dict[str, Any] = {"fontsize": 8, "handlelength": 3.2, "frameon": False, "labelspacing": 0.5}
    if spare:  # a panel is left over and holds the legend
        grid[len(panels)].legend([handles[n] for n in labels], labels.values(), loc="center left", **options)
    else:
        ordered = [handles[name] for name in labels]
        figure.legend(ordered, labels.values(), loc="outside lower center", ncols=columns, **options)
    return _save(figure, stem)


def _plot(panel: Panel, axes: Axes, looks: dict[str, Look]) -> dict[str, Line2D]:
    """Draw one panel; returns method -> its line."""
    handles: dict[str, Line2D] = {}
    for line in panel.lines:
        points = [(x, 100 * share) for x, share in sorted(line.at.items()) if np.isfinite(share)]
        if points:
            xs, percent = zip(*points, strict=True)
            (handles[line.name],) = axes.plot(xs, percent, clip_on=False, **looks[line.name])
    axes.locator_params(axis="y", integer=True, nbins=6)
    axes.set_title(_titled(panel.title), loc="left", fontsize=9)
    axes.tick_params(labelsize=8)
    return handles


def _range(panels: Sequence[Panel]) -> tuple[float, float]:
    """Lowest and highest percent on the axis: whole tens, a little beyond what is drawn."""
    shares = [share for panel in panels for line in panel.lines for share in line.at.values() if np.isfinite(share)]
    top = 100 if max(shares) > 0.8 else 10 * math.ceil(10 * max(shares) + 0.3)
    return max(0, 10 * math.floor(10 * min(shares) - 0.3)), top


def _looks(panels: Sequence[Panel]) -> dict[str, Look]:
    """How each method is drawn, in every panel alike."""
    looks: dict[str, Look] = {}
    lines = [line for panel in panels for line in panel.lines if any(np.isfinite(s) for s in line.at.values())]
    number, dashes = count(), count()
    for line in sorted(lines, key=lambda line: line.published):  # the order of the rest stays
        if line.name in looks:
            continue
        like = looks.get(line.of)
        i = like["number"] if like else next(number)
        look: Look = {"color": COLOURS[i % len(COLOURS)], "marker": SHAPES[i % len(SHAPES)], "number": i}
        look["linestyle"] = ":" if line.published else MEASURED[next(dashes) % len(MEASURED)]
        hollow = {"markerfacecolor": "white", "markeredgewidth": 1.1, "linewidth": 1.3, "markersize": 5}
        looks[line.name] = look | (hollow if line.published else {"linewidth": 1.5, "markersize": 4})
    return {name: {k: v for k, v in look.items() if k != "number"} for name, look in looks.items()}


def _first_ns(line: Line) -> Line:
    at = {n: share for n, share in line.at.items() if n <= LARGEST_N} or line.at
    return Line(line.name, at, line.published, line.of)


def _n_axis(axes: Axes, ns: list[int]) -> None:
    axes.set_xlim(0.3, max(ns) + 0.5)
    ticks = (1, 5, 10, 15, 20, 25) if max(ns) >= 5 else tuple(ns)
    axes.set_xticks([n for n in ticks if n <= max(ns)] or ns)


def _dimension_axis(axes: Axes, dims: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(dims, [str(dim) for dim in dims], rotation=0 if len(dims) <= 5 else 45)
    axes.minorticks_off()
    axes.set_xlim(dims[0] / 1.15, dims[-1] * 1.15)


def _titled(title: str) -> str:
    """Each line of a title as wide as a panel at most."""
    return plain_text("\n".join(part for line in title.split("\n") for part in textwrap.wrap(line, TITLE)[:2]))


def _wrapped(name: str) -> str:
    return plain_text("\n".join(textwrap.wrap(name, LABEL)[:2]))


def _grid(panels: int, width: float, height: float, below: float = 0, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure of panels of so many inches, with room for a legend below them."""
    across = min(panels, COLUMNS)
    down = -(-panels // across)
    figure, grid = new_figure(width * across, height * down + below, down, across, **shared)
    for axes in grid[panels:]:
        axes.set_axis_off()
    return figure, grid


def _save(figure: Figure, stem: str | Path) -> list[Path]:
    return [save_figure(figure, f"{stem}.{kind}", DPI) for kind in ("png", "svg")]
