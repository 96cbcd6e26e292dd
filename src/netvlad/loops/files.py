"""Loops as files that other tools read: a table, JSON, pairs of TUM's time stamps, and a pose graph of g2o."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from netvlad.loops.options import Loop
from netvlad.runtime.files import atomic, write_json, write_text
from netvlad.types import Array

TURN, ACROSS, ALONG = 100.0, 1.0, 0.01  # information of an edge with 100 inliers: radians, and the unit direction
STEP = (100.0, 100.0, 1000.0)  # information of an edge between neighbours, whose poses were given


def write_loops(
    folder: Path, loops: Sequence[Loop], names: Sequence[str], times: Array, poses: tuple[Array, Array] | None = None
) -> None:
    """Write loops.csv, loops.json, loops.tum and loops.g2o, and trajectory.tum where poses are known.

    names, times (N,): of all keyframes. poses: their xy (N, 2) in metres and yaw (N,) in radians, NaN unknown. Each
    write is atomic.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "loops.csv") as whole, open(whole, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*(field.name for field in fields(Loop)), "query_frame", "match_frame"])
        rows.writerows([*asdict(loop).values(), names[loop.query], names[loop.match]] for loop in loops)
    frames = [{"name": name, "t": float(t)} for name, t in zip(names, times, strict=True)]
    write_json(folder / "loops.json", {"format": 1, "frames": frames, "loops": [asdict(loop) for loop in loops]})
    pairs = [f"{loop.match_t:.6f} {loop.query_t:.6f}" for loop in loops]
    write_text(folder / "loops.tum", "\n".join(["# time of the first visit, time of the second", *pairs]) + "\n")
    write_text(folder / "loops.g2o", "\n".join(g2o_lines(loops, len(names), poses)) + "\n")
    if poses is not None:
        write_text(folder / "trajectory.tum", "\n".join(tum_lines(times, *poses)) + "\n")


def g2o_lines(loops: Sequence[Loop], count: int, poses: tuple[Array, Array] | None = None) -> list[str]:
    """A pose graph in the plane (x ahead, y left): a vertex a keyframe, an edge a loop with a known relative pose.

    The length of a loop's translation is not known: it is a unit vector, with hardly any information along it, and
    information grows with the inliers. Neighbours are joined where poses are known; unknown vertices are 0 0 0.
    """
    xy, yaw = poses if poses is not None else (np.full((count, 2), np.nan), np.full(count, np.nan))
    known = np.isfinite(xy).all(axis=1) & np.isfinite(yaw)
    lines = []
    for i in range(count):
        x, y, turn = (float(v) for v in (*xy[i], yaw[i])) if known[i] else (0.0, 0.0, 0.0)
        lines.append(f"VERTEX_SE2 {i} {x:.6f} {y:.6f} {_wrapped(turn):.6f}")
    for i in range(count - 1):
        if known[i] and known[i + 1]:
            c, s = math.cos(yaw[i]), math.sin(yaw[i])
            dx, dy = xy[i + 1] - xy[i]
            step = (c * dx + s * dy, c * dy - s * dx, _wrapped(float(yaw[i + 1] - yaw[i])))
            lines.append(_edge(i, i + 1, step, np.diag(STEP)))
    for loop in loops:
        if loop.heading is not None and loop.bearing is not None and loop.query >= 0:
            bearing = math.radians(loop.bearing)
            along = np.array([math.cos(bearing), -math.sin(bearing)])
            across = np.array([-along[1], along[0]])
            weight = (loop.inliers or 0) / 100
            information = np.zeros((3, 3))
            information[:2, :2] = weight * (ACROSS * np.outer(across, across) + ALONG * np.outer(along, along))
            information[2, 2] = weight * TURN
            turn = -math.radians(loop.heading)
            lines.append(_edge(loop.match, loop.query, (along[0], along[1], turn), information))
    return lines


def tum_lines(times: Array, xy: Array, yaw: Array) -> list[str]:
    """Poses as "t x y z qx qy qz qw", those that are known."""
    return [
        f"{t:.6f} {x:.6f} {y:.6f} 0 0 0 {math.sin(turn / 2):.9f} {math.cos(turn / 2):.9f}"
        for t, (x, y), turn in zip(times, xy, yaw, strict=True)
        if np.isfinite([x, y, turn]).all()
    ]


def _edge(a: int, b: int, step: tuple[float, float, float], information: Array) -> str:
    upper = " ".join(f"{information[i, j]:.6g}" for i in range(3) for j in range(i, 3))
    return f"EDGE_SE2 {a} {b} {' '.join(f'{v:.6f}' for v in step)} {upper}"


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
