from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from netvlad.errors import NetvladError
from netvlad.training.config import Config


def test_the_papers_numbers():
    config = Config()
    assert (config.margin, config.batch, config.epochs, config.refresh) == (0.1, 4, 30, 1000)
    assert (config.optimizer, config.lr, config.momentum, config.weight_decay) == ("sgd", 1e-3, 0.9, 1e-3)
    assert [config.halvings(e) for e in (1, 5, 6, 10, 11, 30)] == [0, 0, 1, 1, 2, 5]


def test_it_can_be_written_down():
    assert json.loads(json.dumps(asdict(Config())))["mining"]["sample"] == 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer 'adam' does not exist; choose one of sgd, adamw"),
        ({"precision": "float16"}, "choose one of float32, bfloat16"),
        ({"storage": "int8"}, "choose one of float16, float32"),
        ({"epochs": 0}, "epochs 0: a number from 1 up"),
        ({"lr": 0.0}, "lr 0.0: a number above 0"),
        ({"margin": float("nan")}, "margin nan"),
    ],
)
def test_what_makes_no_sense(options, message):
    with pytest.raises(NetvladError, match=message):
        Config(**options)


def test_devices():
    assert [Config(device=name).device for name in ("auto", "cuda:1", "mps")] == ["auto", "cuda:1", "mps"]
    with pytest.raises(NetvladError):
        Config(device="gpu")
