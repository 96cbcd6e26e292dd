"""Poses beside frames: trajectories of TUM and KITTI, and intrinsics."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, first_line
from netvlad.types import Array

APART = 0.1  # seconds up to which a pose counts for a frame


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses in the plane. t (n,): seconds, rising. xy (n, 2): metres. yaw (n,): radians, counter-clockwise from x."""

    t: Array
    xy: Array
    yaw: Array

    def at(self, times: Array) -> tuple[Array, Array]:
        """xy (m, 2) and yaw (m,) at `times` (m,), between the nearest poses; NaN where none is near."""
        times = np.asarray(times, np.float64)
        right = np.clip(np.searchsorted(self.t, times), 0, len(self.t) - 1)
        left = np.maximum(right - 1, 0)
        gap = np.minimum(np.abs(times - self.t[left]), np.abs(times - self.t[right]))
        inside = (times >= self.t[0]) & (times <= self.t[-1]) & (self.t[right] - self.t[left] <= 20 * APART)
        known = (gap <= APART) | inside
        xy = np.stack([np.interp(times, self.t, self.xy[:, i]) for i in (0, 1)], axis=1)
        yaw = np.interp(times, self.t, np.unwrap(self.yaw))
        return np.where(known[:, None], xy, np.nan), np.where(known, yaw, np.nan)


def read_poses(file: str | os.PathLike[str], times: Array | None = None) -> Poses:
    """Read a trajectory: lines "t x y z qx qy qz qw" (TUM), or 12 numbers, a 3x4 matrix (KITTI).

    times (n,): those of KITTI's poses; by default times.txt beside the file. TUM's poses lie in x, y with z up; KITTI's
    cameras look along z with y down, and get x right as x, z ahead as y. Raises NetvladError.
    """
    file = Path(file)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        held = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        rows = np.array(held, dtype=np.float64).reshape(len(held), -1) if held else np.empty((0, 0))
    except (OSError, ValueError) as e:
        raise NetvladError(f"cannot be read as poses ({first_line(e)})", path=file) from e
    if not rows.size or not np.isfinite(rows).all() or rows.shape[1] not in (8, 12):
        raise NetvladError(
            "lines of 8 numbers (TUM: t x y z qx qy qz qw) or 12 (KITTI: a 3x4 matrix) are wanted", path=file
        )
    if rows.shape[1] == 8:
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        x, y, z, w = rows[:, 4:].T
        return Poses(rows[:, 0], rows[:, 1:3], np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
    if times is None:
        beside = file.parent / "times.txt"
        if not beside.is_file():
            raise NetvladError("KITTI's poses state no times: times.txt is wanted beside them", path=file)
        times = np.atleast_1d(np.loadtxt(beside, dtype=np.float64))
    if len(times) != len(rows):
        raise NetvladError(f"holds {len(rows)} poses for {len(times)} times", path=file)
    matrix = rows.reshape(-1, 3, 4)
    return Poses(np.asarray(times, np.float64), matrix[:, [0, 2], 3], np.arctan2(matrix[:, 2, 2], matrix[:, 0, 2]))


def read_camera(file: str | os.PathLike[str]) -> Array:
    """Intrinsics (3, 3) of a file with fx, fy, cx, cy in pixels, or of KITTI's calib.txt (P2, else P0).

    Raises NetvladError.
    """
    file = Path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        named = {line.partition(":")[0]: line.partition(":")[2] for line in text.splitlines() if ":" in line}
        chosen = next((named[name] for name in ("P2", "P0", "P_rect_02", "P_rect_00") if name in named), None)
        numbers = [float(n) for n in (text if chosen is None else chosen).replace(",", " ").split()]
    except (OSError, ValueError) as e:
        raise NetvladError(f"cannot be read as intrinsics ({first_line(e)})", path=file) from e
    if chosen is not None and len(numbers) == 12:
        return np.array(numbers).reshape(3, 4)[:, :3]
    if len(numbers) != 4 or not np.isfinite(numbers).all() or min(numbers[:2]) <= 0:
        raise NetvladError("fx, fy, cx and cy in pixels are wanted, or KITTI's calib.txt", path=file)
    fx, fy, cx, cy = numbers
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
