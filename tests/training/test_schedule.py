from __future__ import annotations

import math

import pytest

from netvlad.training.config import Config
from netvlad.training.schedule import learning_rate


def test_halved_every_five_epochs():
    config = Config(epochs=12, lr=8e-3)
    assert [learning_rate(config, e) for e in (0, 4.99, 5, 9.99, 10, 11.9)] == [8e-3, 8e-3, 4e-3, 4e-3, 2e-3, 2e-3]
    assert [Config(halve_every=2).halvings(e) for e in (1, 2, 3)] == [0, 0, 1]
    assert Config(schedule="cosine").halvings(30) == 0


def test_cosine_and_linear_by_hand():
    cosine, linear = (Config(epochs=10, lr=1.0, schedule=s, warm_up=2) for s in ("cosine", "linear"))
    for done in (2, 4.5, 6, 9.9, 10):
        share = (done - 2) / 8
        assert learning_rate(cosine, done) == pytest.approx((1 + math.cos(math.pi * share)) / 2)
        assert learning_rate(linear, done) == pytest.approx(1 - share)
    assert learning_rate(cosine, 10) == pytest.approx(0)
    assert learning_rate(Config(schedule="constant", lr=3.0), 17.2) == 3.0


@pytest.mark.parametrize("schedule", ["halve", "constant", "linear", "cosine"])
def test_warm_up_climbs_from_its_first_step(schedule):
    config = Config(epochs=4, lr=1.0, schedule=schedule, warm_up=0.5)
    steps = [learning_rate(config, i / 8, 1 / 8) for i in range(4)]
    assert steps == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert learning_rate(config, 0.5, 1 / 8) == pytest.approx(1.0)


def test_a_warm_up_as_long_as_the_run():
    assert learning_rate(Config(epochs=1, lr=1.0, warm_up=2, schedule="linear"), 0.5, 0.5) == 0.5
