"""What `netvlad evaluate` does, from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

import netvlad as package
from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.experiments.run import evaluate, labelled, model_options
from netvlad.places import read_places
from netvlad.search.rerank import RerankOptions
from netvlad.types import Ranking

MODEL = "test_resnet-max"

pytestmark = pytest.mark.usefixtures("without_xfeat")


class Shifted:
    """Ranks for query q the rows q + shift, q + shift + 1, ... of a database of `size` rows."""

    dim = None

    def __init__(self, shift: int, size: int):
        self.name, self.shift, self.size = f"shifted by {shift}", shift, size

    def rank(self, photos, k):
        k = min(k, self.size)
        ids = (np.arange(len(photos))[:, None] + self.shift + np.arange(k)) % self.size
        return Ranking(ids, np.tile(-np.arange(k, dtype=np.float32), (len(photos), 1)))


def test_rankers_by_hand(town):
    """Photos are 11.1 m apart: within 5 m each query has itself alone, at place 8 - shift + 1 of 8."""
    places = read_places(town)
    protocol = Protocol(radius=5.0, ns=(1, 2, 8))
    rankers = [Shifted(0, 8), Shifted(7, 8), Shifted(1, 8)]
    found = evaluate(rankers, database=places, queries=places, protocol=protocol)
    assert found.recall == {
        "shifted by 0": {1: 1.0, 2: 1.0, 8: 1.0},
        "shifted by 7": {1: 0.0, 2: 1.0, 8: 1.0},
        "shifted by 1": {1: 0.0, 2: 0.0, 8: 1.0},
    }
    assert found.average_precision == {}


def test_names_describers_and_rankers_side_by_side(weights, town):
    models = {"by name": MODEL, "by object": package.load(MODEL), "worst": Shifted(4, 8)}
    found = evaluate(models, database=town, queries=town, protocol=Protocol(radius=5.0), workers=0)
    assert {name: recall[1] for name, recall in found.recall.items()} == {"by name": 1, "by object": 1, "worst": 0}
    assert found.summary["config"]["models"] == {"by name": MODEL, "by object": MODEL, "worst": "shifted by 4"}
    assert found.resized == {"by name": 640, "by object": 640}


class MeanColours:
    """No more than `netvlad.types.Describer` asks for: the mean colours of the two halves of a photo."""

    name, dim, resize, smallest, takes_masks, method, identity = "colours", 6, None, 2, False, None, "mean colours"

    def describe(self, images):
        halves = [np.array_split(package.read_image(image), 2) for image in images]
        vectors = np.array([[*one.mean((0, 1)), *other.mean((0, 1))] for one, other in halves], np.float32) - 127
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_describer_of_ones_own_needs_no_more_than_the_contract(town):
    assert isinstance(MeanColours(), package.Describer)
    found = evaluate(MeanColours(), database=town, queries=town, protocol=Protocol(radius=5.0), workers=0)
    assert found.recall["colours"][1] == 1.0  # each photo finds itself


def test_a_cache_and_a_report(weights, town, tmp_path):
    options = {"database": town, "queries": town, "cache": tmp_path / "cache", "workers": 0}
    first = evaluate(MODEL, **options)
    again = evaluate(MODEL, **options)
    assert (first.cached, again.cached) == ((), (MODEL,))
    assert again.recall == first.recall
    page = again.write_report(tmp_path / "report")
    assert page.name == "index.html"
    facts = json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))
    assert facts["config"] | {"environment": None} == {
        "database": str(town),
        "queries": str(town),
        "models": [MODEL],
        "seed": 0,
        "environment": None,
    }


def test_reranking(weights, town):
    options = {"database": town, "queries": town, "protocol": Protocol(radius=5.0), "workers": 0}
    found = evaluate(MODEL, rerank=RerankOptions(best=2), **options)
    assert list(found.recall) == [MODEL, f"{MODEL} + rerank"]
    assert "verify queries" in found.found.methods[1].seconds
    assert found.summary["config"]["rerank"] == {"best": 2, "kind": "rootsift", "model": "homography"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give a database and queries, or a benchmark and its root"),
        ({"database": "photos"}, "give a database and queries, or a benchmark and its root"),
        ({"benchmark": "tokyo247"}, "benchmark tokyo247 needs its root"),
        ({"benchmark": "tokyo247", "root": ".", "protocol": Protocol()}, "has its own photos and rules"),
        ({"benchmark": "gsv-cities", "root": "."}, "gsv-cities has no queries"),
        ({"benchmark": "tokio", "root": "."}, "tokio"),
    ],
)
def test_wrong_use(given, message):
    with pytest.raises(NetvladError, match=message):
        evaluate(MODEL, **given)


def test_labels():
    one, other = Shifted(1, 8), Shifted(1, 8)
    assert labelled("a") == {"a": "a"}
    assert labelled(["a", "b", "a"]) == {"a": "a", "b": "b"}
    assert labelled(one) == {"shifted by 1": one}
    assert labelled({"x": one, "y": other}) == {"x": one, "y": other}
    with pytest.raises(NetvladError, match="two models are called shifted by 1: give them as label -> model"):
        labelled([one, other])


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ((None, None, None), {}),
        ((8, "layer3", 320), {"clusters": 8, "stage": "layer3", "resize": 320}),
        ((None, None, 0), {"resize": None}),
    ],
)
def test_model_options_are_those_given(given, want):
    assert model_options(*given) == want
