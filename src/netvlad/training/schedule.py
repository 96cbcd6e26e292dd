"""The learning rate over time."""

from __future__ import annotations

import math

from netvlad.training.config import Config


def learning_rate(config: Config, done: float, step: float = 0.0) -> float:
    """The learning rate of a step of `step` epochs, after `done` epochs; both may be fractions.

    halve: halves every `halve_every` epochs (paper, appendix A). linear, cosine: fall to 0 from the end of the warm-up.
    The warm-up is linear, its first step above 0.
    """
    if done < config.warm_up:
        return config.lr * min(1.0, (done + step) / config.warm_up)
    left = config.epochs - config.warm_up
    share = min(1.0, (done - config.warm_up) / left) if left > 0 else 0.0
    if config.schedule == "halve":
        return config.lr * 0.5 ** config.halvings(int(done) + 1)
    falls = {"constant": 1.0, "linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2}
    return config.lr * falls[config.schedule]
