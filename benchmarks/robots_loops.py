"""What `netvlad loops` found on a drive, and what a frame costs.

    OMP_NUM_THREADS=1 python benchmarks/robots_loops.py loops LOOPS.json DRIVE
    OMP_NUM_THREADS=1 python benchmarks/robots_loops.py graph LOOPS.json DRIVE
    OMP_NUM_THREADS=1 python benchmarks/robots_loops.py growth
    OMP_NUM_THREADS=1 python benchmarks/robots_loops.py frames MODEL DRIVE

Drives are folders of town_drive.py. loops: how many are right, and how far off relative headings are. graph: odometry
with drift, and the pose graph of it and these loops, written as loops.g2o and optimised by g2o (pip install g2opy);
root of the mean squared error of positions. growth and frames: what a
keyframe costs, in time of the CPU, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

import netvlad
from netvlad.loops import detector as detector_module
from netvlad.loops.files import g2o_lines
from netvlad.loops.keyframes import Keyframes
from netvlad.loops.options import Loop
from netvlad.video.frames import read_frames
from netvlad.video.poses import read_camera
from robots_drive import Drive, right_answers

K = 20


def loops(file: Path, folder: Path) -> None:
    data, drive = json.loads(file.read_text()), Drive(folder)
    good = right_answers(drive, drive)[0]
    found = [(loop["query"], loop["match"]) for loop in data["loops"]]
    right = sum(bool(good[pair]) for pair in found)
    print(f"{len(found)} loops, {right} right; of {good.any(axis=1).sum()} frames that have one")
    errors = []
    for loop in data["loops"]:
        turn = np.degrees(drive.yaw[loop["match"]] - drive.yaw[loop["query"]])
        if loop["heading"] is not None:
            errors.append(abs((loop["heading"] - turn + 180) % 360 - 180))
    if errors:
        print(f"relative headings are off by {np.median(errors):.1f} degrees in the median")


def drifting(drive: Drive) -> tuple[np.ndarray, np.ndarray]:
    """Positions and headings by odometry, which is too long by 2 % and turns wrongly by half a degree a step."""
    rng = np.random.default_rng(0)
    c, s = np.cos(drive.yaw[:-1]), np.sin(drive.yaw[:-1])
    step = 1.02 * np.diff(drive.xy, axis=0)
    ahead, left = c * step[:, 0] + s * step[:, 1], c * step[:, 1] - s * step[:, 0]
    turn = np.diff(np.unwrap(drive.yaw)) + np.radians(rng.normal(0.15, 0.5, len(step)))
    yaw = drive.yaw[0] + np.concatenate([[0], np.cumsum(turn)])
    c, s = np.cos(yaw[:-1]), np.sin(yaw[:-1])
    moved = np.cumsum(np.stack([c * ahead - s * left, s * ahead + c * left], 1), axis=0)
    return drive.xy[0] + np.concatenate([np.zeros((1, 2)), moved]), yaw


def graph(file: Path, folder: Path) -> None:
    import g2opy as g2o

    drive = Drive(folder)
    found = [Loop(**loop) for loop in json.loads(file.read_text())["loops"]]
    xy, yaw = drifting(drive)
    optimizer = g2o.SparseOptimizer()
    optimizer.set_algorithm(g2o.OptimizationAlgorithmLevenberg(g2o.BlockSolverX(g2o.LinearSolverEigenX())))
    with tempfile.TemporaryDirectory() as inner:
        whole = Path(inner) / "loops.g2o"
        whole.write_text("\n".join(g2o_lines(found, len(xy), (xy, yaw))) + "\n")
        optimizer.load(str(whole))
    optimizer.vertex(0).set_fixed(True)
    optimizer.initialize_optimization()
    optimizer.optimize(100)
    closed = np.array([optimizer.vertex(i).estimate().translation() for i in range(len(xy))])

    def error(points: np.ndarray) -> float:
        return float(np.sqrt(((points - drive.xy) ** 2).sum(axis=1).mean()))

    print(f"odometry: {error(xy):.1f} m; with {len(found)} loops: {error(closed):.1f} m")


def growth() -> None:
    """Milliseconds (CPU) of inserting and finding a keyframe, and bytes of memory each, as they grow in number."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2000, 512)).astype(np.float32)
    asked = centres[:200] / np.linalg.norm(centres[:200], axis=1, keepdims=True)
    kept = Keyframes(512, 1_000_000)
    before = resident()
    print("| keyframes | insert, ms | search, ms | bytes a keyframe |\n|---|---|---|---|")
    for goal in (1000, 10_000, 100_000):
        while len(kept) < goal:
            if len(kept) == goal - 200:
                start = time.process_time()
            part = centres[len(kept) // 50 % 2000] + 0.7 * rng.normal(size=512).astype(np.float32)
            kept.append(part / np.linalg.norm(part), b"", float(len(kept)))
        insert = (time.process_time() - start) / 200
        start = time.process_time()
        for vector in asked:
            kept.search(vector, K)
        search = (time.process_time() - start) / len(asked)
        each = (resident() - before) / goal
        print(f"| {goal} | {1e3 * insert:.2f} | {1e3 * search:.2f} | {each:.0f} |", flush=True)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def frames(model: Path, folder: Path) -> None:
    """Milliseconds (CPU) of each stage of a frame, at two sizes, over a drive."""
    detector_module.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment]
    describer, drive = netvlad.load(model), list(read_frames(folder))
    print("| frames | describe | search | insert | sequence | verify, of all | verify, where it is done |")
    print("|---|---|---|---|---|---|---|")
    for size in ((320, 240), (640, 480)):
        camera = np.diag([size[0] / 320, size[0] / 320, 1]) @ read_camera(folder / "camera.txt")
        detector = netvlad.LoopDetector(describer, camera=camera)
        found, verified = 0, 0
        for frame in drive:
            before = detector.seconds.get("verify", 0.0)
            found += len(detector.add(cv2.resize(frame.image, size), frame.t))
            verified += detector.seconds.get("verify", 0.0) > before
        each = {stage: 1e3 * seconds / len(drive) for stage, seconds in detector.seconds.items()}
        stages = " | ".join(f"{each[stage]:.1f}" for stage in ("describe", "search", "insert", "sequence", "verify"))
        print(
            f"| {size[0]}x{size[1]}, {found} loops | {stages} | {each['verify'] * len(drive) / verified:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["loops", "graph", "growth", "frames"])
    parser.add_argument("paths", nargs="*", type=Path)
    given = parser.parse_args()
    {"loops": loops, "graph": graph, "growth": growth, "frames": frames}[given.what](*given.paths)


if __name__ == "__main__":
    main()
