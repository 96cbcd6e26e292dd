"""What the robots' benchmarks share: drives and their truth, scores of methods for pairs of frames, and curves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

import netvlad
from netvlad.describe.stream import describe_all
from netvlad.search.tree_fit import fit_tree
from netvlad.search.vocabulary_tree_ranker import VocabularyTreeRanker
from netvlad.types import needs_fit
from netvlad.video.frames import read_list
from netvlad.video.poses import read_poses

RADIUS, TURN, BACK, GAP = 25.0, np.radians(40), np.radians(140), 20.0
TREE, K = "vocabulary tree", 20


class Drive:
    """A folder of town_drive.py. t (n,): seconds. xy (n, 2): metres. yaw (n,): radians."""

    def __init__(self, folder: Path) -> None:
        poses = read_poses(folder / "groundtruth.txt")
        self.folder, self.name, self.t, self.xy, self.yaw = folder, folder.name, poses.t, poses.xy, poses.yaw
        self.photos = [str(path) for _, path in read_list(folder / "rgb.txt")]


def right_answers(held: Drive, asked: Drive) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which frames of `held` are right for each of `asked`, which are there but seen from the other side, and which may
    be answered: (Q, N) bool each."""
    apart = np.linalg.norm(asked.xy[:, None] - held.xy[None], axis=-1)
    turn = np.abs((asked.yaw[:, None] - held.yaw[None] + np.pi) % (2 * np.pi) - np.pi)
    allowed = np.ones(apart.shape, bool)
    if held.name == asked.name:
        allowed = asked.t[:, None] - held.t[None] > GAP
    near = (apart < RADIUS) & allowed
    return near & (turn < TURN), near & (turn > BACK), allowed


def scores_of(method: str, chosen: Drive, folder: Path) -> Callable[[Drive, Drive], np.ndarray]:
    """What gives the score (Q, N) of each frame of `asked` with each of `held`, fitted on `chosen` and kept in
    `folder`."""
    folder = folder / method.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    features = folder / "features"

    @cache
    def tree():
        return fit_tree(chosen.photos[::2], workers=0, folder=features)

    @cache
    def model():
        found = netvlad.load(method)
        return netvlad.fit(found, chosen.photos[::2]) if needs_fit(found) else found

    def kept(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        file = folder / f"{name}.npy"
        if not file.exists():
            np.save(file, make())
        return np.load(file)

    def shared_words(held: Drive, asked: Drive) -> np.ndarray:
        found = VocabularyTreeRanker(held.photos, tree(), workers=0, folder=features).rank(
            asked.photos, len(held.photos)
        )
        out = np.zeros(found.ids.shape, np.float32)
        rows, places = np.nonzero(found.ids >= 0)
        out[rows, found.ids[rows, places]] = found.scores[rows, places]
        return out

    def words(held: Drive, asked: Drive) -> np.ndarray:
        return kept(f"{asked.name}-in-{held.name}", lambda: shared_words(held, asked))

    def products(held: Drive, asked: Drive) -> np.ndarray:
        x, y = (kept(d.name, lambda d=d: describe_all(model(), d.photos, workers=0)[0]) for d in (held, asked))
        return 2 * y @ x.T - 2

    return words if method == TREE else products


def best(scores: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = np.where(allowed, scores, -np.inf)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    scores = np.take_along_axis(scores, ids, 1)
    return np.where(np.isfinite(scores), ids, -1), scores


def curve(sure: np.ndarray, right: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Recall and precision from the surest answer on, recall at 100 % precision, and average precision."""
    order = np.argsort(-sure, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    count = max(int(possible.sum()), 1)
    return (
        hits / count,
        precision,
        hits[precision == 1].max(initial=0) / count,
        (precision * right[order]).sum() / count,
    )
