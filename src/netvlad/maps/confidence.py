"""The confidence of an answer: a probability learnt from the index's own photos.

Photos of the index are ranked against the index without their own session (or, where there is only one, without their
own place), so that the correct answer is known. Each is asked twice: as it is, and with everything near it removed
from the index, so that the correct answer is "not in this map". From three features of a ranking

    nearest   squared distance of the best match
    gap       how much farther the best match of another place lies
    support   share of the best matches that agree on the place

a multinomial logistic regression learns the probabilities of three outcomes: the answer is within the radius, it is
wrong, the place is not in the map. docs/confidence.md shows how well they hold on real photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from netvlad.places import Places, sessions
from netvlad.types import Array

DEEP = 50  # matches that features are computed from
SAMPLE = 1000  # photos that are ranked
PIECE = 8192  # photos that they are compared with at once
ABSENT_SHARE = 0.2  # assumed share of queries whose place is not in the map
FEWEST = 10  # correct answers needed to learn from
RIGHT, WRONG, ABSENT = 0, 1, 2


@dataclass(frozen=True)
class Calibration:
    """weights (3 outcomes, 1 + 3 features) for features scaled by `centre` and `scale`.

    how: what was left out with each photo. asked: number of photos ranked.
    """

    weights: list[list[float]]
    centre: list[float]
    scale: list[float]
    how: str
    asked: int

    def probabilities(self, features: Array) -> Array:
        """Probabilities (M, 3) of correct, wrong and not in the map, from features (M, 3)."""
        x = (np.asarray(features) - self.centre) / self.scale
        return _softmax(np.c_[np.ones(len(x)), x] @ np.array(self.weights).T)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Calibration:
        """What `to_dict` gave. Raises ValueError for anything else."""
        names = ("weights", "centre", "scale")
        try:
            numbers = [np.array(data[name], np.float64) for name in names]
            how, asked = data["how"], data["asked"]
        except (KeyError, TypeError, ValueError) as e:
            raise ValueError(f"lacks or garbles an entry ({type(e).__name__}: {e})") from e
        shapes = [array.shape for array in numbers] == [(3, 4), (3,), (3,)]
        if not shapes or not all(np.isfinite(array).all() for array in numbers) or not (numbers[2] > 0).all():
            raise ValueError("has weights, centres or scales that are no finite numbers of the right count")
        if not isinstance(how, str) or type(asked) is not int:
            raise ValueError("does not say how many photos were asked, and how")
        weights, centre, scale = (array.tolist() for array in numbers)
        return cls(weights, centre, scale, how, asked)

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


def evidence(squared: Array, xyz: Array, radius: float) -> Array:
    """Features (3,) of a ranking whose best match is the answer.

    squared: (k,) ascending squared distances, inf beyond the end. xyz: (k, 3) positions of the matches in metres.
    """
    found = np.isfinite(squared)
    near = np.linalg.norm(xyz - xyz[0], axis=1) <= radius
    elsewhere = squared[found & ~near]
    farthest = squared[found][-1]
    gap = (elsewhere[0] if len(elsewhere) else farthest) - squared[0]
    return np.array([squared[0], gap, near[found][:10].mean()])


def calibrate(
    places: Places, vectors: Callable[[], Iterable[Array]], radius: float, seed: int = 0
) -> tuple[Calibration | None, str]:
    """Learn from an index's own `places` and their `vectors` (blocks in row order).

    Photos without a position are left out. Returns the calibration and an empty string, or None and the reason why
    there can be none.
    """
    if not places.located.all():
        return calibrate(places[places.located], partial(_some, vectors, places.located), radius, seed)
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


def _some(vectors: Callable[[], Iterable[Array]], rows: Array) -> Iterator[Array]:
    """The blocks without the rows where `rows` (N,) bool is False."""
    first = 0
    for block in vectors():
        yield block[rows[first : first + len(block)]]
        first += len(block)


def own_visits(places: Places) -> Iterator[tuple[str, Array]]:
    """Yield what is left out with a photo and a number for each photo; photos of one number are left out together.

    "session" comes first, where there are several, then "place".
    """
    session = sessions(places)
    if len(np.unique(session[session >= 0])) > 1:
        # each photo without a time is a visit of its own
        alone = np.arange(len(session)) + session.max() + 1
        yield "session", np.where(session >= 0, session, alone)
    cell = np.round(places.xyz).astype(np.int64)  # cells of 1 m: cut-outs of one panorama, photos of one standpoint
    yield "place", np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)


def _ask(
    places: Places, vectors: Callable[[], Iterable[Array]], radius: float, rows: Array, visit: Array
) -> tuple[Array, Array]:
    """Features (m, 3) and outcomes (m,) of `rows`, each ranked twice (see the module)."""
    queries = _gather(vectors(), rows)
    xyz = places.xyz
    present = _Nearest(len(rows))
    without = _Nearest(len(rows))
    first = 0
    left = np.zeros(len(rows), bool)  # whether something near is left without the photo's own visit
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
    """The DEEP smallest values of each row of a distance matrix that arrives in blocks of columns."""

    def __init__(self, n: int) -> None:
        self.squared = np.full((n, DEEP), np.inf, np.float32)
        self.ids = np.zeros((n, DEEP), np.int64)

    def take(self, squared: Array, first: int) -> None:
        ids = np.broadcast_to(np.arange(first, first + squared.shape[1]), squared.shape)
        squared, ids = np.c_[self.squared, squared], np.c_[self.ids, ids]
        keep = np.argpartition(squared, DEEP - 1, axis=1)[:, :DEEP]
        self.squared, self.ids = np.take_along_axis(squared, keep, 1), np.take_along_axis(ids, keep, 1)

    def sorted(self, i: int) -> tuple[Array, Array]:
        order = np.lexsort((self.ids[i], self.squared[i]))
        return np.maximum(self.squared[i][order], 0), self.ids[i][order]


def _near(a: Array, b: Array, radius: float) -> Array:
    """Whether each of a (n, 3) is within the radius of each of b (m, 3): (n, m) bool."""
    origin = a.mean(axis=0)  # squared distances about a common origin keep their digits
    a, b = a - origin, b - origin
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    near: Array = squared <= radius**2
    return near


def _pieces(blocks: Iterable[Array]) -> Iterator[Array]:
    """The blocks in pieces of at most PIECE rows, each of which becomes a column of matrices."""
    for block in blocks:
        for first in range(0, len(block), PIECE):
            yield block[first : first + PIECE]


def _gather(blocks: Iterable[Array], rows: Array) -> Array:
    first, parts = 0, []
    for block in blocks:
        inside = rows[(rows >= first) & (rows < first + len(block))]
        parts.append(block[inside - first])
        first += len(block)
    return np.concatenate(parts)


def _fit(features: Array, outcomes: Array, weight: Array, how: str, asked: int) -> Calibration:
    """Weighted multinomial logistic regression with an L2 penalty of 0.5 on all weights but the intercepts."""
    from scipy.optimize import minimize

    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6] = 1  # a feature that never varied says nothing, not even that a change is large
    x = np.c_[np.ones(len(features)), (features - centre) / scale]
    one_hot = np.eye(3)[outcomes]

    def loss(flat: Array) -> tuple[float, Array]:
        w = flat.reshape(3, -1)
        p = _softmax(x @ w.T)
        value = -(weight * np.log(p[np.arange(len(x)), outcomes] + 1e-12)).sum() + 0.5 * (w[:, 1:] ** 2).sum()
        gradient = (weight[:, None] * (p - one_hot)).T @ x
        gradient[:, 1:] += w[:, 1:]
        return value, gradient.ravel()

    best = minimize(loss, np.zeros(3 * x.shape[1]), jac=True, method="L-BFGS-B").x.reshape(3, -1)
    return Calibration(best.tolist(), centre.tolist(), scale.tolist(), how, asked)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    probabilities: Array = e / e.sum(axis=1, keepdims=True)
    return probabilities
