"""The confidence of an answer: a probability learnt from the index's own photos.

Photos of the index are ranked against the index without their own session (or, where there is only one, without their
own place), so that the correct answer is known. Each is asked twice: as it is, and with everything near it removed
from the index, so that the correct answer is "not in this map" (`netvlad.maps.calibrating`). From three features of a
ranking

    ratio     distance of the best match over that of the best of another place (1: as far)
    support   share of the matches that agree on the place, weighted by similarity
    spread    how far from the answer the matches lie, weighted alike: the mean of log(1 + radii)

a multinomial logistic regression learns the probabilities of three outcomes: the answer is within the radius, it is
wrong, the place is not in the map. The distance of the best match itself is no feature: it tells how a photo was taken
rather than where, and weights learnt for it often mislead by another light. The spread follows SUE (Zaffar et al.,
CVPR 2024); its weights do not depend on a model's scale. docs/confidence.md shows how well the probabilities hold on
real photos.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netvlad.types import Array

DEEP = 50  # matches that features are computed from
ABSENT_SHARE = 0.2  # assumed share of queries whose place is not in the map
SHARPNESS = 5.0  # of the weights: the last match counts e^-5 of the first
FARTHEST = 20.0  # radii that count
RIGHT, WRONG, ABSENT = 0, 1, 2


@dataclass(frozen=True)
class Calibration:
    """weights (3 outcomes, 1 + 3 features) for features scaled by `centre` and `scale`.

    how: what was left out with each photo. asked: number of photos ranked. labels: whether an answer is right at the
    same label, and not within a radius.
    """

    weights: list[list[float]]
    centre: list[float]
    scale: list[float]
    how: str
    asked: int
    labels: bool = False

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
            how, asked, labels = data["how"], data["asked"], data["labels"]
        except (KeyError, TypeError, ValueError) as e:
            raise ValueError(f"lacks or garbles an entry ({type(e).__name__}: {e})") from e
        shapes = [array.shape for array in numbers] == [(3, 4), (3,), (3,)]
        if not shapes or not all(np.isfinite(array).all() for array in numbers) or not (numbers[2] > 0).all():
            raise ValueError("has weights, centres or scales that are no finite numbers of the right count")
        if not isinstance(how, str) or type(asked) is not int or type(labels) is not bool:
            raise ValueError("does not say how many photos were asked, and how")
        weights, centre, scale = (array.tolist() for array in numbers)
        return cls(weights, centre, scale, how, asked, labels)

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


def evidence(squared: Array, apart: Array) -> Array:
    """Features (3,) of a ranking whose best match is the answer.

    squared: (k,) ascending squared distances, inf beyond the end. apart: (k,) how far the matches lie from the first,
    in radii; of labels 0 where they are the same, else inf.
    """
    found = np.isfinite(squared)
    squared, apart = squared[found].astype(np.float64), apart[found]
    same = apart <= 1
    second = squared[~same][0] if not same.all() else squared[-1]
    ratio = np.sqrt(squared[0] / second) if second > 0 else 1.0
    weight = np.exp(-SHARPNESS * (squared - squared[0]) / max(squared[-1] - squared[0], 1e-6))
    spread = np.log1p(np.minimum(apart, FARTHEST))
    return np.array([ratio, np.average(same, weights=weight), np.average(spread, weights=weight)])


def fit(features: Array, outcomes: Array, weight: Array, how: str, asked: int, labels: bool = False) -> Calibration:
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
    return Calibration(best.tolist(), centre.tolist(), scale.tolist(), how, asked, labels)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    probabilities: Array = e / e.sum(axis=1, keepdims=True)
    return probabilities
