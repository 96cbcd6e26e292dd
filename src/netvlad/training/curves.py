"""Loss and recall@5 of a run, over epochs and over time, as a PNG file."""

from __future__ import annotations

import math
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from netvlad.runtime.files import atomic
from netvlad.training.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS, RECALL = "#0072B2", "#D55E00"  # of Okabe and Ito; the markers differ too, for prints in grey


def draw_curves(record: Record, path: str | Path) -> None:
    """One panel over epochs, one over hours of training; a ring marks the best epoch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = record.epochs
    panels: dict[str, list[float]] = {
        "epoch": [epoch.number for epoch in epochs],
        "hours": [seconds / 3600 for seconds in accumulate(epoch.wall for epoch in epochs)],
    }
    for axes, (name, x) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.plot(x, [epoch.loss for epoch in epochs], "o-", color=LOSS, markersize=4, linewidth=1.6)
        axes.set_xlabel(name)
        axes.set_ylabel("loss", color=LOSS)
        axes.set_ylim(bottom=0)
        axes.grid(color="0.88", linewidth=0.8)
        if name == "epoch":
            axes.xaxis.get_major_locator().set_params(integer=True)
        if any(epoch.recall is not None for epoch in epochs):
            _draw_recall(axes.twinx(), record, [0, *x])
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160, facecolor="white")


def _draw_recall(axes: Axes, record: Record, x: list[float]) -> None:
    values = [record.recall, *(epoch.recall for epoch in record.epochs)]
    percent = [math.nan if value is None else 100 * value for value in values]
    axes.plot(x, percent, "s--", color=RECALL, markersize=4, linewidth=1.6)
    axes.plot(x[record.best], percent[record.best], "o", color=RECALL, markersize=11, fillstyle="none")
    axes.set_ylabel("recall@5 in validation (%)", color=RECALL)
