"""Curves as PNG files, readable in print and in grey: no method is told apart by its colour alone."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.evaluation.protocol_text import right
from netvlad.evaluation.result import Evaluation
from netvlad.report.drawing import COLOURS, LINES, MARKERS, new_figure, plain_text, recall_points, save_figure
from netvlad.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    End = tuple[int, float, str, dict[str, Any]]  # N, percent, label and look of the last point of a curve

LINE_INCHES = 0.165  # of text beside the curves
DPI = 200


def recall_curves(evaluation: Evaluation, path: str | Path) -> Path:
    """Draw recall@N in percent against N, one line a method, as a PNG file; returns its path.

    N runs to 25, as in the paper's figures, or to the largest N measured; each marker is a measured N. Labels
    stand at the ends of the lines and give recall@1. Raises ValueError when no query was judged.
    """
    curves = [(method.name, recall_points(method.recall)) for method in evaluation.methods]
    curves = [(name, curve) for name, curve in curves if curve]
    if not curves:
        raise ValueError("no method has a recall to draw: no query was judged")
    labels = [f"{_short(name)}\nR@{curve[0][0]} {curve[0][1]:.1f} %" for name, curve in curves]
    lines = sum(_lines(label) for label in labels)
    height = max(3.6, 1.2 + lines * LINE_INCHES)
    figure, (axes,) = new_figure(5.2, height)
    ends: list[End] = []
    for i, (_, curve) in enumerate(curves):
        ns, percent = zip(*curve, strict=True)
        look: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": LINES[i % len(LINES)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        axes.plot(ns, percent, linewidth=1.7, markersize=4.5, clip_on=False, **look)
        ends.append((ns[-1], percent[-1], labels[i], look))
    lowest = min(percent for _, curve in curves for _, percent in curve)
    largest = max(n for n, *_ in ends)
    axes.set_ylim(max(0, 10 * np.floor(lowest / 10 - 0.3)), 100)
    axes.set_xlim(0.5, largest + 0.5)
    ticks = (1, 5, 10, 15, 20, 25) if largest >= 5 else (1, 2, 3, 4)
    axes.set_xticks([n for n in ticks if n <= largest])
    axes.locator_params(axis="y", integer=True)
    _label_ends(axes, ends, height)
    axes.set_xlabel("N, number of best matches looked at")
    axes.set_ylabel("recall@N (%)")
    judged = int(np.sum(evaluation.judged))
    photos = _counted(len(evaluation.database), "database photo")
    title = f"{judged:,} quer{'y' if judged == 1 else 'ies'}, {photos}, {right(evaluation.protocol)}"
    axes.set_title(title, loc="left", fontsize=10)
    return save_figure(figure, path, DPI)


def reliability_diagram(predicted: Array, correct: Array, path: str | Path, bins: int = 10) -> float:
    """Draw predicted confidence against the share that was right (PNG); returns the calibration error.

    predicted (M,): confidences, 0..1; correct (M,) bool; bins: equal widths over 0..1. Bars at each point are
    Wilson's 95 % interval of the share; the lower panel counts the answers in each bin. The expected
    calibration error is the mean of |share right - mean confidence| over the bins, weighted by their counts
    (Guo et al., ICML 2017, equation 3). Raises ValueError for no answers, unequal lengths, or confidences
    outside 0..1.
    """
    predicted, correct = np.asarray(predicted, float), np.asarray(correct, bool)
    if predicted.ndim != 1 or predicted.shape != correct.shape or not len(predicted):
        raise ValueError(f"need as many answers as confidences, got {correct.shape} and {predicted.shape}")
    if not np.all((predicted >= 0) & (predicted <= 1)):
        raise ValueError("confidences must lie in 0..1")
    which = np.searchsorted(np.arange(1, bins) / bins, predicted, side="right")  # 1.0 falls into the last bin
    counts = np.bincount(which, minlength=bins)
    full = counts > 0
    confidence = np.bincount(which, predicted, bins)[full] / counts[full]
    share = np.bincount(which, correct, bins)[full] / counts[full]
    error = float(np.sum(counts[full] * np.abs(share - confidence)) / len(predicted))
    low, high = wilson(share, counts[full])

    figure, (axes, below) = new_figure(5.2, 6.0, rows=2, sharex=True, height_ratios=(3.4, 1))
    axes.plot([0, 1], [0, 1], color="0.45", linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.errorbar(
        confidence,
        share,
        yerr=np.maximum([share - low, high - share], 0),
        fmt="o-",
        color=COLOURS[0],
        ecolor="0.35",
        capsize=3,
        linewidth=1.6,
        markersize=5,
        label="observed, 95 % interval",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that was right", aspect="auto")
    axes.legend(loc="upper left", edgecolor="white", fontsize=9)
    axes.set_title(
        f"{_counted(len(predicted), 'answer')}, {100 * correct.mean():.1f} % right\n"
        f"expected calibration error {error:.3f}",
        loc="left",
        fontsize=10,
    )
    centres = (np.arange(bins) + 0.5) / bins
    below.bar(centres, counts, width=0.92 / bins, color="0.72", edgecolor="0.35", linewidth=0.6)
    for x, count in zip(centres, counts, strict=True):
        if count and bins <= 12:
            below.annotate(f"{count:,}", (x, count), ha="center", xytext=(0, 1), textcoords="offset points", fontsize=8)
    below.locator_params(axis="y", integer=True)
    below.set(xlim=(0, 1), ylim=(0, counts.max() * 1.25), xlabel="predicted confidence", ylabel="answers")
    save_figure(figure, path, DPI)
    return error


def wilson(share: Array, count: Array, z: float = 1.959964) -> tuple[Array, Array]:
    """Wilson's score interval (low, high) of a share seen in `count` trials; z = 1.96 covers 95 %."""
    share, count = np.asarray(share, float), np.asarray(count, float)
    middle = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _short(name: str) -> str:
    """At most two lines of about 24 letters; a dollar would start mathematics."""
    lines = textwrap.wrap(name, 24, break_long_words=False)
    lines = [line if len(line) < 27 else line[:25] + "…" for line in lines]
    if len(lines) > 2:
        lines = [lines[0], lines[1] + " …"]
    return plain_text("\n".join(lines))


def _lines(label: str) -> float:
    return label.count("\n") + 1.4  # with some air to the next label


def _label_ends(axes: Axes, ends: list[End], height: float) -> None:
    """Write each label beside its line's end, moved apart where lines end close together."""
    bottom, top = axes.get_ylim()
    inches = height - 1  # the rest is the title and the labels of N
    line = LINE_INCHES / inches * (top - bottom)
    order = sorted(range(len(ends)), key=lambda i: -ends[i][1])
    heights = [line * _lines(ends[i][2]) for i in order]
    apart = [(a + b) / 2 for a, b in pairwise(heights)]
    at = [min(ends[order[0]][1], top - heights[0] / 2 + line / 2)]
    for i, gap in zip(order[1:], apart, strict=True):
        at.append(min(ends[i][1], at[-1] - gap))
    at[-1] = max(at[-1], bottom)  # where the stack would run out below, push it up again
    for i in reversed(range(len(apart))):
        at[i] = max(at[i], at[i + 1] + apart[i])
    beside = axes.get_yaxis_transform()  # x as a share of the width, y in percent of recall
    first, last = axes.get_xlim()
    drawn: dict[str, Any] = {"transform": beside, "clip_on": False}
    for i, y in zip(order, at, strict=True):
        n_end, y_end, text, look = ends[i]
        start = (n_end - first) / (last - first)
        axes.plot([start, 1.05], [y_end, y], color="0.6", linewidth=0.7, zorder=1, **drawn)
        axes.plot([1.05, 1.09, 1.13], [y, y, y], markersize=4.5, markevery=[1], **look, **drawn)
        axes.text(1.15, y, text, va="center", fontsize=8.5, **drawn)
