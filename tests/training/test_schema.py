from __future__ import annotations

import pytest

from netvlad.errors import NetvladError
from netvlad.training.config import Config, Jitter, Mining
from netvlad.training.schema import build, flat, keys


def test_there_and_back():
    config = Config(lr=3e-4, mining=Mining("other-date", apart=None), jitter=Jitter(crop=0.2), start="layer2")
    values = flat(config)
    expected = {"positives": "other-date", "apart": None, "crop": 0.2, "start": "layer2", "lr": 3e-4}
    assert {name: values[name] for name in expected} == expected
    assert build(Config, values, "x") == config
    assert build(Config, {k: str(v) for k, v in values.items()}, "x") == config  # as a shell has them


def test_every_key_has_a_meaning_and_a_name_of_its_own():
    names = [each.name for each in keys(Config)]
    assert len(names) == len(set(names)) == len(flat(Config()))
    assert all(each.metadata["meaning"].endswith(".") for each in keys(Config))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 1}, r"mine: no key is called 'learning_rate'.*; the keys are start, loss"),
        ({"epoch": 3}, r"no key is called 'epoch' \(close: epochs"),
        ({7: 3}, "no key is called 7"),
        ({"epochs": 2.5}, "mine: epochs 2.5 is not allowed; wanted: a whole number"),
        ({"epochs": "nan"}, "wanted: a whole number"),
        ({"epochs": True}, "wanted: a whole number"),
        ({"lr": "fast"}, "lr 'fast' is not allowed; wanted: a number"),
        ({"lr": None}, "wanted: a number"),
        ({"apart": "far"}, "wanted: a number or none"),
        ({"freeze": "maybe"}, "wanted: yes or no"),
        ({"optimizer": 5}, "wanted: sgd, adamw"),
        ({"optimizer": "adam"}, "choose one of sgd, adamw"),
        ({"crop": 1.0}, "crop 1.0: a number from 0 to 1"),
        ({"brightness": -0.1}, "brightness -0.1: a number from 0 up"),
        ({"momentum": -1}, "momentum -1.0: a number from 0 up"),
    ],
)
def test_what_is_not_allowed(values, message):
    with pytest.raises(NetvladError, match=message):
        build(Config, values, "mine")


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), (1, 1.0), ("inf", float("inf")), (" 0.5 ", 0.5)])
def test_numbers_as_yaml_and_shells_write_them(text, value):
    assert build(Config, {"lr": text}, "x").lr == value


def test_yes_no_and_none():
    made = build(Config, {"freeze": "no", "recompute": "Yes", "apart": "None", "checkpoint_every": "none"}, "x")
    assert (made.freeze, made.recompute, made.mining.apart, made.checkpoint_every) == (False, True, None, None)
