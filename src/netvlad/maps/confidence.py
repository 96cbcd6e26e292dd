"""How sure an answer is: a probability learnt from the index's own photos.

Photos of the index are taken as queries against the index without their own session (or, where there is only one,
without their own place), so that the answer is known. Each is asked twice: as it is, and with everything near it
taken out of the index, so that the right answer is "not in this map". From what can be seen of a ranking

    nearest   squared distance of the best match
    gap       how much farther the best match lies that is somewhere else
    support   share of the best matches that agree on the place

a multinomial logistic regression learns the probabilities of three outcomes: the answer is within the radius, it is
wrong, the place is not in the map. docs/confidence.md shows how well they hold on real photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from netvlad.places import Places, sessions

if TYPE_CHECKING:
    from netvlad.types import FloatArray

DEEP = 50  # matches looked at
SAMPLE = 1000  # photos asked
PIECE = 8192  # photos they are compared with at once
ABSENT_SHARE = 0.2  # of all queries are taken to be of places outside the map
FEWEST = 10  # right answers below which nothing can be learnt
RIGHT, WRONG, ABSENT = 0, 1, 2


@dataclass(frozen=True)
class Calibration:
    """weights (3 outcomes, 1 + 3 features) for features scaled by `centre` and `scale`; how they were learnt."""

    weights: list[list[float]]
    centre: list[float]
    scale: list[float]
    how: str
    asked: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(M, 3) features -> (M, 3) probabilities of right, wrong, not in the map."""
        x = (np.asarray(features) - self.centre) / self.scale
        return _softmax(np.c_[np.ones(len(x)), x] @ np.array(self.weights).T)

    def to_dict(self) -> dict:
        return asdict(self)


def evidence(squared: np.ndarray, xyz: np.ndarray, radius: float) -> np.ndarray:
    """The three features (3,) of a ranking whose best match is the answer.

    squared (k,): ascending squared distances, inf beyond the end; xyz (k, 3): metric positions of the matches.
    """
    found = np.isfinite(squared)
    near = np.linalg.norm(xyz - xyz[0], axis=1) <= radius
    elsewhere = squared[found & ~near]
    farthest = squared[found][-1]
    gap = (elsewhere[0] if len(elsewhere) else farthest) - squared[0]
    return np.array([squared[0], gap, near[found][:10].mean()])


def calibrate(
    places: Places, vectors: Callable[[], Iterable[FloatArray]], radius: float, seed: int = 0
) -> tuple[Calibration | None, str]:
    """Learn from an index's own `places` and their `vectors` (blocks in row order).

    Returns the calibration and an empty string, or None and the reason why there can be none.
    """
    if len(places) < 2 * FEWEST:
        return None, f"{len(places)} photos are too few to learn from (at least {2 * FEWEST})"
    rows = np.sort(np.random.default_rng(seed).permutation(len(places))[:SAMPLE])
    counts = []
    for how, visit in own_visits(places):
        features, outcomes = _ask(places, vectors, radius, rows, visit)
        absent = outcomes == ABSENT
        right = int((outcomes == RIGHT).sum())
        if min(right, absent.sum()) >= FEWEST:
            weight = np.where(absent, ABSENT_SHARE / absent.sum(), (1 - ABSENT_SHARE) / (~absent).sum())
            return _fit(features, outcomes, weight * len(outcomes), f"leave-one-{how}-out", len(rows)), ""
        counts.append(f"{right} without their own {how}")
    few = f"of {len(rows)} photos asked, too few were answered right: {', '.join(counts)}"
    return None, f"{few}; at least {FEWEST} are needed"


def own_visits(places: Places) -> Iterator[tuple[str, np.ndarray]]:
    """What to leave out with a photo: ("session", a number each), where there are several, then ("place", ...).

    Photos that share a number are left out together.
    """
    session = sessions(places)
    if len(np.unique(session[session >= 0])) > 1:
        # photos without a time are a visit of their own each
        alone = np.arange(len(session)) + session.max() + 1
        yield "session", np.where(session >= 0, session, alone)
    cell = np.round(places.xyz).astype(np.int64)  # a metre: cut-outs of one panorama, photos of one standpoint
    yield "place", np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)


def _ask(places, vectors, radius, rows, visit):
    """Features and outcomes of `rows` asked twice (see the module)."""
    queries = _gather(vectors(), rows)
    xyz = places.xyz
    present = _Nearest(len(rows))
    without = _Nearest(len(rows))
    first = 0
    left = np.zeros(len(rows), bool)  # something near is left once the own visit is out
    for block in _pieces(vectors()):
        part = slice(first, first + len(block))
        first += len(block)
        squared = (queries**2).sum(1)[:, None] + (block**2).sum(1) - 2 * (queries @ block.T)
        squared[visit[rows][:, None] == visit[part][None]] = np.inf
        near = _near(xyz[rows], xyz[part], radius)
        left |= (near & np.isfinite(squared)).any(axis=1)
        present.take(squared, part.start)
        squared[near | _near(xyz[rows], xyz[part], 2 * radius)] = np.inf
        without.take(squared, part.start)
    features, outcomes = [], []
    for i, row in enumerate(rows):
        for nearest, there in ((present, left[i]), (without, False)):
            squared, ids = nearest.sorted(i)
            if not np.isfinite(squared[0]):
                continue
            right = np.linalg.norm(xyz[ids[0]] - xyz[row]) <= radius
            features.append(evidence(squared, xyz[ids], radius))
            outcomes.append(ABSENT if not there else RIGHT if right else WRONG)
    return np.array(features).reshape(-1, 3), np.array(outcomes, int)


class _Nearest:
    """The DEEP smallest of each row of a distance matrix that arrives in blocks of columns."""

    def __init__(self, n: int):
        self.squared = np.full((n, DEEP), np.inf, np.float32)
        self.ids = np.zeros((n, DEEP), np.int64)

    def take(self, squared: np.ndarray, first: int) -> None:
        ids = np.broadcast_to(np.arange(first, first + squared.shape[1]), squared.shape)
        squared, ids = np.c_[self.squared, squared], np.c_[self.ids, ids]
        keep = np.argpartition(squared, DEEP - 1, axis=1)[:, :DEEP]
        self.squared, self.ids = np.take_along_axis(squared, keep, 1), np.take_along_axis(ids, keep, 1)

    def sorted(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.lexsort((self.ids[i], self.squared[i]))
        return np.maximum(self.squared[i][order], 0), self.ids[i][order]


def _near(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """(len(a), len(b)) bool, by a small matrix: squared distances about a common origin keep their digits."""
    origin = a.mean(axis=0)
    a, b = a - origin, b - origin
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return squared <= radius**2


def _pieces(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The blocks in pieces of at most PIECE rows: a block of short vectors has many, each a column of matrices here."""
    for block in blocks:
        for first in range(0, len(block), PIECE):
            yield block[first : first + PIECE]


def _gather(blocks: Iterable[np.ndarray], rows: np.ndarray) -> np.ndarray:
    first, parts = 0, []
    for block in blocks:
        inside = rows[(rows >= first) & (rows < first + len(block))]
        parts.append(block[inside - first])
        first += len(block)
    return np.concatenate(parts)


def _fit(features, outcomes, weight, how: str, asked: int) -> Calibration:
    from scipy.optimize import minimize

    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6] = 1  # nothing can be learnt from what was always the same, not even that a change is large
    x = np.c_[np.ones(len(features)), (features - centre) / scale]
    one_hot = np.eye(3)[outcomes]

    def loss(flat):
        w = flat.reshape(3, -1)
        p = _softmax(x @ w.T)
        value = -(weight * np.log(p[np.arange(len(x)), outcomes] + 1e-12)).sum() + 0.5 * (w[:, 1:] ** 2).sum()
        gradient = (weight[:, None] * (p - one_hot)).T @ x
        gradient[:, 1:] += w[:, 1:]
        return value, gradient.ravel()

    best = minimize(loss, np.zeros(3 * x.shape[1]), jac=True, method="L-BFGS-B").x.reshape(3, -1)
    return Calibration(best.tolist(), centre.tolist(), scale.tolist(), how, asked)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
