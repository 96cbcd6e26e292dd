from __future__ import annotations

from types import SimpleNamespace

import pytest

from netvlad.benchmarks import list_benchmarks
from netvlad.benchmarks.published import RESULTS, ModelKey, numbers_of, results_on, row_of
from netvlad.pretrained.catalogue import HUBS, NETWORKS
from netvlad.types import Method


def describer(method: Method | None, name: str = "mine", dim: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, dim=dim or (method.dim if method else 8), method=method)


@pytest.mark.parametrize(
    ("method", "label"),
    [
        (Method("NetVLAD", "VGG-16", 4096, True, True), "NetVLAD VGG-16 + whitening 4096-D"),
        (Method("NetVLAD", "VGG-16", 512, True, True), None),  # of another dimension
        (Method("NetVLAD", "VGG-16", 32768, False, True), "NetVLAD VGG-16 32k"),
        (Method("NetVLAD", "VGG-16", 32768, False, False), None),  # off the shelf it is no NetVLAD of the paper
        (Method("NetVLAD", "AlexNet", 4096, True, True), "NetVLAD AlexNet + whitening"),
        (Method("max pooling", "VGG-16", 512, False, True), "max pooling VGG-16, trained"),
        (Method("max pooling", "VGG-16", 512, False, False), "max pooling VGG-16, off the shelf"),
        (Method("VLAD", "VGG-16", 32768, False, False), "VLAD VGG-16, off the shelf"),
        (Method("VLAD", "RootSIFT", 16384, False, False), "RootSIFT + VLAD"),
        (Method("VLAD", "RootSIFT", 4096, True, False), "RootSIFT + VLAD + whitening"),
        (Method("max pooling", "ResNet-18", 256, False, False), None),
        (None, None),
    ],
)
def test_the_result_that_a_method_compares_with(method, label):
    row = row_of(describer(method), "tokyo247")
    assert (row and row.label) == label


def test_ambiguous_rows():
    """Of rows that only differ in what a model does not tell, the first is meant, as it always was."""
    trained = describer(Method("NetVLAD", "AlexNet", 16384, False, True))
    assert row_of(trained, "pitts30k-val").label == "NetVLAD AlexNet, trained to conv3"
    trained = describer(Method("max pooling", "AlexNet", 256, False, True))
    assert row_of(trained, "pitts30k-val").recalls == {"all": (68.5,)}


def test_published_models_are_found_by_their_name():
    assert row_of(describer(None, "boq", 12288), "msls-val").recalls == {"all": (93.8, 96.8, 97.0)}
    assert row_of(describer(None, "boq", 512), "msls-val") is None  # whitened to other vectors
    assert row_of(describer(None, "boq", 12288), "tokyo247") is None
    assert row_of(describer(None, "boq:main", 12288), "msls-val") is None  # perhaps other weights


def test_every_result_is_of_a_known_benchmark_and_found_by_one_key():
    keys = [(row.benchmark, row.key) for row in RESULTS if row.key is not None]
    assert len(set(keys)) == len(keys)
    assert {row.benchmark for row in RESULTS} <= {*list_benchmarks()}
    models = {**NETWORKS, **HUBS}
    assert all(row.model in models for row in RESULTS if row.model is not None)
    assert all(models[row.key.name].dim == row.key.dim for row in RESULTS if isinstance(row.key, ModelKey))


def test_numbers_of_a_model():
    assert numbers_of("boq") == "Pitts250k 96.6/99.1/99.5, MSLS-val 93.8/96.8/97.0"
    assert numbers_of("vgg16-max-tokyotm") == "Tokyo 24/7 38.4/52.7/60.0"
    assert numbers_of("sage-vitb").startswith("Pitts250k 95.7/98.6/99.2, Pitts30k 93.4/97.0/97.9, Tokyo 24/7 97.1")
    assert numbers_of("image4vpr") == "Pitts30k 94.1, MSLS-val 94.5"
    assert numbers_of("megaloc") == ""


def test_results_on_a_benchmark():
    assert [row.label for row in results_on("oxford5k")] == ["NetVLAD VGG-16 + whitening 256-D"]
    assert results_on("pitts30k-train") == ()
