"""What all figures share: colours, markers, axes and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.runtime.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours can be told apart by colour-blind eyes; yellow is left out, it vanishes on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LARGEST_N = 25  # of recall@N, as in the paper's figures


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches, and its panels row by row. shared: as `Figure.subplots` takes it."""
    # The object interface, never pyplot: no global state, and safe in a thread of the service.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, **shared).ravel())
    for axes in panels:
        axes.grid(color="0.88", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def save_figure(figure: Figure, path: str | Path, dpi: int) -> Path:
    """Write a figure as PNG or SVG, by the suffix of `path`; the write is atomic."""
    kind = Path(path).suffix[1:]
    # an SVG would carry the time it was drawn at
    options: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": dpi}
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind, bbox_inches="tight", facecolor="white", **options)
    return Path(path)


def recall_points(recall: Mapping[Any, float]) -> list[tuple[int, float]]:
    """(N, recall@N in percent) up to N = 25, or all where every N is larger; NaN is left out."""
    ns = [n for n in sorted(recall) if n <= LARGEST_N] or sorted(recall)
    return [(n, 100 * recall[n]) for n in ns if math.isfinite(recall[n])]


def plain_text(text: str) -> str:
    """A text as it is: a dollar would start mathematics."""
    return text.replace("$", r"\$")
