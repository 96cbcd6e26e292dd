from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from netvlad.describe.model_card import model_card

WEIGHTS = {"source": "timm/resnet18.a1_in1k", "tag": "a1_in1k", "licence": "apache-2.0"}
CARD = {
    "kind": "network",
    "name": "resnet18-netvlad",
    "dim": 256,
    "architecture": {"stage": "layer3", "whitening": {"dim": 256, "kind": "pca"}},
    "weights": WEIGHTS,
    "fitted_on": {"photos_given": 40, "places": "day.csv, night"},
}


def test_what_the_hub_reads():
    data = ModelCard(model_card(CARD, "someone/campus")).data
    assert (data.license, data.library_name, data.base_model) == ("apache-2.0", "netvlad", "timm/resnet18.a1_in1k")
    assert data.datasets == ["day", "night"]
    assert "visual-place-recognition" in data.tags
    assert "netvlad" in data.tags


def test_what_people_read():
    text = ModelCard(model_card(CARD, "someone/campus")).text
    assert 'netvlad.load("hf:someone/campus")' in text
    for row in ("| stage | layer3 |", "| whitening.dim | 256 |", "| tag | a1_in1k |", "| photos_given | 40 |"):
        assert row in text.splitlines()


@pytest.mark.parametrize(
    ("said", "given", "licence", "name"),
    [
        ("BSD-3-Clause", None, "bsd-3-clause", None),
        ("MIT (of the code)", None, "other", "mit-of-the-code"),
        ("not stated", None, "unknown", None),
        (None, None, "unknown", None),
        ("not stated", "mit", "mit", None),
        ("apache-2.0", "My Own", "other", "my-own"),
    ],
)
def test_licences(said, given, licence, name):
    data = ModelCard(model_card({**CARD, "weights": {"licence": said}}, "a/b", given)).data
    assert (data.license, data.license_name) == (licence, name)


def test_a_model_without_weights_of_others():
    text = model_card({**CARD, "weights": None, "fitted_on": {}}, "a/b")
    data = ModelCard(text).data
    assert (data.license, data.datasets, data.base_model) == ("unknown", None, None)
    assert "Weights" not in text
    assert "Fitted on" not in text


def test_a_model_that_runs_code_says_so():
    weights = {"source": "https://github.com/someone/tiny", "licence": "MIT"}
    text = model_card({**CARD, "kind": "hub", "weights": weights}, "a/b")
    assert "runs the code of https://github.com/someone/tiny" in text
    assert 'netvlad.load("hf:a/b", trust_code=True)' in text
    assert "--trust-code" in text
    assert "trust" not in model_card(CARD, "a/b")


def test_a_cell_stays_in_its_row():
    text = model_card({**CARD, "fitted_on": {"places": "a|b\nc"}}, "a/b")
    assert "| places | a\\|b c |" in text.splitlines()
