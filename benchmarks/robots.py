"""Loops and tracks of drives: recall at 100 % precision and average precision, single frames against sequences.

    OMP_NUM_THREADS=1 python benchmarks/robots.py drives CHOSEN_DAY CHOSEN_NIGHT JUDGED_DAY JUDGED_NIGHT --cache FOLDER
    OMP_NUM_THREADS=1 python benchmarks/robots.py growth
    OMP_NUM_THREADS=1 python benchmarks/robots.py loops LOOPS.json DRIVE
    OMP_NUM_THREADS=1 python benchmarks/robots.py graph LOOPS.json DRIVE

Drives are folders of town_drive.py. The model is the one that comes along, fitted on every second frame of CHOSEN_DAY.
A frame is answered rightly within 25 m and 40 degrees; within a drive, only frames more than 20 s before count. Recall
is of the frames that have a right answer. Evidence is learnt on CHOSEN_DAY's own loops; nothing else is fitted.
loops: what `netvlad loops` found. graph: odometry with drift, and the pose graph of it and these loops, written as
loops.g2o and optimised by g2o (pip install g2opy); root of the mean squared error of positions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import netvlad
from netvlad.describe.stream import describe_all
from netvlad.loops.files import g2o_lines
from netvlad.loops.options import Loop
from netvlad.sequences.averaging import averaged
from netvlad.sequences.evidence import Evidence, fit_evidence
from netvlad.sequences.hidden_markov import HiddenMarkov
from netvlad.sequences.seqslam import seqslam
from netvlad.video.frames import read_list
from netvlad.video.poses import read_poses

K, RADIUS, TURN, GAP, NEAR = 20, 25.0, np.radians(40), 20.0, 3.0


class Drive:
    def __init__(self, folder: Path, cache: Path | None = None, model=None) -> None:
        poses = read_poses(folder / "groundtruth.txt")
        self.name, self.t, self.xy, self.yaw = folder.name, poses.t, poses.xy, poses.yaw
        if cache is not None:
            file = cache / f"{folder.name}.npy"
            if not file.exists():
                photos = [str(path) for _, path in read_list(folder / "rgb.txt")]
                np.save(file, describe_all(model(), photos, what=folder.name, workers=0)[0])
            self.vectors = np.load(file)


def right_answers(held: Drive, asked: Drive) -> tuple[np.ndarray, np.ndarray]:
    """Which frames of `held` are right for each of `asked`, and which may be answered: (Q, N) bool each."""
    apart = np.linalg.norm(asked.xy[:, None] - held.xy[None], axis=-1)
    turn = np.abs((asked.yaw[:, None] - held.yaw[None] + np.pi) % (2 * np.pi) - np.pi)
    allowed = np.ones(apart.shape, bool)
    if held is asked:
        allowed = asked.t[:, None] - held.t[None] > GAP
    return (apart < RADIUS) & (turn < TURN) & allowed, allowed


def best(held: np.ndarray, asked: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = np.where(allowed, 2 * asked @ held.T - 2, -np.inf)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    scores = np.take_along_axis(scores, ids, 1)
    return np.where(np.isfinite(scores), ids, -1), scores


def measures(sure: np.ndarray, right: np.ndarray, possible: np.ndarray) -> str:
    order = np.argsort(-sure, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    whole = hits[precision == 1].max(initial=0)
    count = possible.sum()
    return f"{100 * whole / count:.1f} | {100 * (precision * right[order]).sum() / count:.1f}"


def table(held: Drive, asked: Drive, evidence: Evidence) -> None:
    good, allowed = right_answers(held, asked)
    possible, rows = good.any(axis=1), np.arange(len(good))
    print(f"\n{asked.name} in {held.name}: {possible.sum()} of {len(rows)} frames have a right answer")
    print("| method | recall at 100 % precision | average precision |\n|---|---|---|")

    def show(name: str, ids: np.ndarray, sure: np.ndarray) -> None:
        print(f"| {name} | {measures(sure, (ids >= 0) & good[rows, np.maximum(ids, 0)], possible)} |")

    ids, scores = best(held.vectors, asked.vectors, allowed)
    show("single frames", ids[:, 0], scores[:, 0])
    for length in (5,):
        i, s = best(averaged(held.vectors, length), averaged(asked.vectors, length), allowed)
        show(f"averages of {length}", i[:, 0], s[:, 0])
    i, s = seqslam(ids, scores, 10)
    show("SeqSLAM's lines of 10", i[:, 0], s[:, 0])
    for name, length, lag in (("length 1", 1, 0), ("length 5", 5, 0), ("all before", None, 0), ("lag 5", None, 5)):
        chain = HiddenMarkov(evidence, length=length, lag=lag)
        where = held.t[np.maximum(ids, 0)] - held.t[0]
        told = [chain.add(ids[q], scores[q], where[q], asked.t[q], int(allowed[q].sum())) for q in rows]
        first, sure = np.full(len(rows), -1), np.full(len(rows), -1.0)
        for q, one in enumerate([one for one in told if one] + chain.finish()):
            if len(one.ids):
                away = np.abs(held.t[one.ids] - held.t[one.ids[0]]) > NEAR
                first[q], sure[q] = one.ids[0], -(one.new + one.probability[away].sum())
        show(f"hidden Markov model, {name}", first, sure)


def drives(folders: list[Path], cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    held: list = []

    def model():
        if not held:
            photos = [str(path) for _, path in read_list(folders[0] / "rgb.txt")]
            held.append(netvlad.fit(netvlad.load("default"), photos[::2]))
        return held[0]

    day, night, other_day, other_night = (Drive(folder, cache, model) for folder in folders)
    good, allowed = right_answers(day, day)
    ids, scores = best(day.vectors, day.vectors, allowed)
    whole = ids[:, -1] >= 0
    same = np.take_along_axis(good, np.maximum(ids, 0), 1)[whole]
    evidence = fit_evidence(scores[whole], same, int(allowed.sum(axis=1)[whole].mean()))
    print(f"evidence: slope {evidence.slope:.1f}, offset {evidence.offset:.1f}")
    for pair in ((day, day), (day, night), (other_day, other_day), (other_night, other_night)):
        table(*pair, evidence)
    table(other_day, other_night, evidence)
    table(other_night, other_day, evidence)


def growth() -> None:
    """Milliseconds of inserting and finding a keyframe, and bytes, as keyframes grow in number."""
    from netvlad.loops.keyframes import Keyframes

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2000, 512)).astype(np.float32)
    kept = Keyframes(512, 1_000_000)
    recent: list[float] = []
    print("| keyframes | insert, ms | search, ms |\n|---|---|---|")
    for goal in (1000, 10_000, 100_000):
        while len(kept) < goal:
            part = centres[len(kept) // 50 % 2000] + 0.7 * rng.normal(size=512).astype(np.float32)
            start = time.perf_counter()
            kept.append(part / np.linalg.norm(part), b"", float(len(kept)))
            spent = time.perf_counter() - start
            recent = [*recent[-199:], spent]
        asked = centres[:200] / np.linalg.norm(centres[:200], axis=1, keepdims=True)
        start = time.perf_counter()
        for vector in asked:
            kept.search(vector, K)
        print(f"| {goal} | {1e3 * np.mean(recent):.2f} | {1e3 * (time.perf_counter() - start) / 200:.2f} |", flush=True)


def loops(file: Path, folder: Path) -> None:
    data, drive = json.loads(file.read_text()), Drive(folder)
    good, _ = right_answers(drive, drive)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["drives", "growth", "loops", "graph"])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/robots"))
    given = parser.parse_args()
    if given.what == "drives":
        drives(given.paths, given.cache)
    elif given.what == "growth":
        growth()
    else:
        {"loops": loops, "graph": graph}[given.what](*given.paths)


if __name__ == "__main__":
    main()
