"""Rivals on drives: recall at 100 % precision and average precision of single frames, sequences and verified ones.

    OMP_NUM_THREADS=1 python benchmarks/robots.py CHOSEN_DAY JUDGED_DAY JUDGED_NIGHT --cache FOLDER [--plot FILE]

Drives are folders of town_drive.py. What has to be fitted is fitted on every second frame of CHOSEN_DAY, and what a
score says of a place (evidence) is learnt on its own loops, for each method alone; nothing is chosen on the judged
ones. A frame is answered rightly within 25 m and 40 degrees; within a drive, only frames more than 20 s before count.
Recall is of the frames that have a right answer. Verified: the candidate of the best three (of a sequence: of those
within 3 s of the likeliest) with most XFeat inliers of an essential matrix, and how many those are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from netvlad.features.local_features import LocalFeatures, kind_of, local_features
from netvlad.features.relative_pose import relative_pose
from netvlad.images import read_image
from netvlad.sequences.averaging import averaged
from netvlad.sequences.evidence import Evidence, fit_evidence
from netvlad.sequences.hidden_markov import HiddenMarkov
from netvlad.sequences.seqslam import seqslam
from netvlad.video.poses import read_camera
from robots_drive import TREE, Drive, best, curve, right_answers, scores_of

NEAR, VERIFIED = 3.0, 3
METHODS = ("default", "resnet18-netvlad", "densevlad", TREE)
Ways = Iterator[tuple[str, np.ndarray, np.ndarray]]


def chain(evidence: Evidence, held: Drive, asked: Drive, ids, scores, allowed, length, lag) -> tuple[list, np.ndarray]:
    """Rows near the likeliest of each frame, likeliest first, and how sure it is."""
    filter_ = HiddenMarkov(evidence, length=length, lag=lag)
    where = held.t[np.maximum(ids, 0)] - held.t[0]
    told = [filter_.add(ids[q], scores[q], where[q], asked.t[q], int(allowed[q].sum())) for q in range(len(ids))]
    rows, sure = [np.empty(0, int)] * len(ids), np.full(len(ids), -2.0)
    for q, one in enumerate([one for one in told if one] + filter_.finish()):
        if len(one.ids):
            near = np.abs(held.t[one.ids] - held.t[one.ids[0]]) <= NEAR
            rows[q], sure[q] = one.ids[near], -(one.new + one.probability[~near].sum())
    return rows, sure


class Verifier:
    """Inliers of pairs of frames, each pair and each frame's features found once."""

    def __init__(self) -> None:
        self.features: dict[str, LocalFeatures] = {}
        self.inliers: dict[tuple[str, str], int] = {}

    def of(self, photo: str) -> LocalFeatures:
        if photo not in self.features:
            self.features[photo] = local_features(read_image(photo), "xfeat", kind_of("xfeat").most)
        return self.features[photo]

    def __call__(self, held: Drive, asked: Drive, rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        camera = read_camera(asked.folder / "camera.txt")
        ids, most = np.full(len(rows), -1), np.full(len(rows), -1.0)
        for q, candidates in enumerate(rows):
            for row in candidates[:VERIFIED]:
                pair = held.photos[row], asked.photos[q]
                if pair not in self.inliers:
                    pose = relative_pose(self.of(pair[0]), self.of(pair[1]), camera)
                    self.inliers[pair] = 0 if pose is None else pose.inliers
                if self.inliers[pair] > most[q]:
                    ids[q], most[q] = row, self.inliers[pair]
        return ids, most


def ways(
    method: str, score: np.ndarray, evidence: Evidence, held: Drive, asked: Drive, verify: Verifier, cache: Path
) -> Ways:
    """Name, row (Q,) -1 for none, and sureness (Q,) of each way to answer by one method's scores."""
    allowed = right_answers(held, asked)[2]
    ids, scores = best(score, allowed)
    yield "single frames", ids[:, 0], scores[:, 0]
    if method == "default":
        x, y = (averaged(np.load(cache / method / f"{drive.name}.npy"), 5) for drive in (held, asked))
        i, s = best(2 * y @ x.T - 2, allowed)
        yield "averages of 5", i[:, 0], s[:, 0]
        i, s = seqslam(ids, scores, 10)
        yield "SeqSLAM's lines of 10", i[:, 0], s[:, 0]
        rows, sure = chain(evidence, held, asked, ids, scores, allowed, 5, 0)
        yield "hidden Markov, 5 frames", _first(rows), sure
    before, sure = chain(evidence, held, asked, ids, scores, allowed, None, 0)
    yield "hidden Markov, all before", _first(before), sure
    rows, sure = chain(evidence, held, asked, ids, scores, allowed, None, 5)
    yield "hidden Markov, 5 after too", _first(rows), sure
    yield "single frames, verified", *verify(held, asked, [row[row >= 0] for row in ids])
    yield "hidden Markov, all before, verified", *verify(held, asked, before)


def _first(rows: list[np.ndarray]) -> np.ndarray:
    return np.array([row[0] if len(row) else -1 for row in rows])


def learnt(score: np.ndarray, chosen: Drive) -> Evidence:
    good, _, allowed = right_answers(chosen, chosen)
    ids, scores = best(score, allowed)
    whole = ids[:, -1] >= 0
    same = np.take_along_axis(good, np.maximum(ids, 0), 1)[whole]
    return fit_evidence(scores[whole], same, int(allowed.sum(axis=1)[whole].mean()))


def drives(folders: list[Path], cache: Path, plot: Path | None) -> None:
    chosen, day, night = map(Drive, folders)
    tasks = {"night in day": (day, night), "day in night": (night, day), "loops by night": (night, night)}
    tasks["loops by day"] = (day, day)
    truth = {name: right_answers(*pair) for name, pair in tasks.items()}
    for name, (good, back, _) in truth.items():
        print(f"{name}: {good.any(1).sum()} of {len(good)} frames have a right answer;", end=" ")
        print(f"{(back.any(1) & ~good.any(1)).sum()} only one from the other side")
    print("\n| method | frames |" + "".join(f" {name} |" for name in tasks) + "\n|---|---|" + "---|" * len(tasks))
    verify, curves, opposite = Verifier(), {name: {} for name in tasks}, {}
    for method in METHODS:
        score = scores_of(method, chosen, cache)
        evidence = learnt(score(chosen, chosen), chosen)
        table: dict[str, list[str]] = {}
        for name, (held, asked) in tasks.items():
            good, back, _ = truth[name]
            rows = np.arange(len(good))
            for way, ids, sure in ways(method, score(held, asked), evidence, held, asked, verify, cache):
                right = (ids >= 0) & good[rows, np.maximum(ids, 0)]
                recall, precision, whole, mean = curve(sure, right, good.any(1))
                table.setdefault(way, []).append(f"{100 * whole:.1f} / {100 * mean:.1f}")
                curves[name][method, way] = recall, precision
                if way == "single frames":
                    only = np.flatnonzero(back.any(1) & ~good.any(1))
                    answered = back[only, np.maximum(ids[only], 0)] & (ids[only] >= 0)
                    opposite[method, name] = f"{answered.sum()} of {len(only)}"
        for way, figures in table.items():
            print(f"| {method} | {way} | " + " | ".join(figures) + " |", flush=True)
    print("\nframes that only one from the other side shows, answered by one of those:")
    for (method, name), count in opposite.items():
        print(f"{method}, {name}: {count}")
    if plot:
        draw(curves, plot)


def draw(curves: dict[str, dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]], file: Path) -> None:
    from matplotlib.figure import Figure

    styles = {"single frames": ":", "hidden Markov, all before": "-", "hidden Markov, all before, verified": "--"}
    figure = Figure(figsize=(11, 9), layout="constrained")
    for axes, (name, lines) in zip(figure.subplots(2, 2).flat, curves.items(), strict=True):
        for (method, way), (recall, precision) in lines.items():
            if way in styles:
                colour, label = f"C{METHODS.index(method)}", f"{method}, {way}"
                axes.plot(100 * recall, 100 * precision, styles[way], color=colour, label=label, lw=1.4)
        axes.set(title=name, xlabel="recall, %", ylabel="precision, %", xlim=(0, 100), ylim=(0, 102))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(file, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chosen_day", type=Path)
    parser.add_argument("judged_day", type=Path)
    parser.add_argument("judged_night", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/robots"))
    parser.add_argument("--plot", type=Path, help="picture of the precision-recall curves")
    given = parser.parse_args()
    drives([given.chosen_day, given.judged_day, given.judged_night], given.cache, given.plot)


if __name__ == "__main__":
    main()
