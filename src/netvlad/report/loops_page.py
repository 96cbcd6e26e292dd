"""The page of `netvlad loops`: the distance matrix with the loops, the trajectory, and pairs side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from netvlad.report.drawing import COLOURS, new_figure, save_figure
from netvlad.report.page import data_uri, write_page
from netvlad.types import Array, FloatArray

PAIRS = 24  # shown side by side, spread over the drive
TITLE = "Loops of a drive"


def loops_page(
    path: str | Path,
    loops: Sequence[tuple[int, int, str]],
    vectors: FloatArray,
    step: int,
    photos: Sequence[tuple[bytes, bytes, str]],
    xy: Array | None = None,
) -> Path:
    """Write the page; returns its path. The write is atomic. Raises OSError.

    loops: (query, match, words) of each, by the numbers of keyframes. vectors (n, dim): of every `step`-th keyframe.
    photos: JPEGs of match and query and words about them, of some loops. xy (N, 2): where keyframes are, NaN unknown.
    """
    parts = [_figure("Distance of each keyframe to each earlier one; loops are marked", _matrix, loops, vectors, step)]
    if xy is not None and np.isfinite(xy).any():
        parts.append(_figure("The trajectory from above; loops join its places", _trajectory, loops, xy))
    pairs = "\n".join(
        f'<figure><img alt="first visit" width="320" src="{data_uri("image/jpeg", match)}"> '
        f'<img alt="second visit" width="320" src="{data_uri("image/jpeg", query)}">'
        f"<figcaption>{escape(words)}</figcaption></figure>"
        for match, query, words in photos
    )
    body = (
        f'<header class="page"><p class="kicker">netvlad loops</p><h1>{TITLE}</h1>'
        f'<p class="lead">{len(loops)} frames show a place that was there before.</p></header><main>'
        f"<h2>Distances between frames, and the loops</h2>{'<h2>Where it drove</h2>'.join(parts)}"
        f"<h2>First and second visit</h2>{pairs or '<p>There are none.</p>'}</main>"
    )
    return write_page(path, TITLE, body, {})


def spread(count: int, most: int = PAIRS) -> list[int]:
    """Up to `most` numbers below `count`, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(most, count))}) if count else []


def _figure(words: str, draw: Callable[..., Path], *args: object) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = draw(*args, Path(folder) / "figure.png")
        return f'<p><img alt="{words}" style="max-width:100%" src="{data_uri("image/png", file.read_bytes())}"></p>'


def _matrix(loops: Sequence[tuple[int, int, str]], vectors: FloatArray, step: int, path: Path) -> Path:
    figure, (axes,) = new_figure(6.5, 6)
    squared = np.maximum(2 - 2 * vectors @ vectors.T, 0)
    end = len(vectors) * step
    shown = axes.imshow(np.sqrt(squared), cmap="gray", extent=(0, end, end, 0), interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="distance of vectors", shrink=0.8)
    if loops:
        query, match = np.array([loop[:2] for loop in loops]).T
        axes.plot(match, query, ".", color=COLOURS[1], markersize=4, label="loop")
        axes.legend(loc="upper right")
    axes.set_xlabel("keyframe, first visit")
    axes.set_ylabel("keyframe, second visit")
    axes.grid(False)
    return save_figure(figure, path, 110)


def _trajectory(loops: Sequence[tuple[int, int, str]], xy: Array, path: Path) -> Path:
    figure, (axes,) = new_figure(6.5, 6)
    axes.plot(xy[:, 0], xy[:, 1], color=COLOURS[0], linewidth=1.2)
    for query, match, _ in loops:
        axes.plot(xy[[match, query], 0], xy[[match, query], 1], "-o", color=COLOURS[1], markersize=2, linewidth=0.8)
    axes.set_aspect("equal")
    axes.set_xlabel("x (m)")
    axes.set_ylabel("y (m)")
    return save_figure(figure, path, 110)
