from __future__ import annotations

from types import SimpleNamespace

import pytest

from netvlad.benchmarks import benchmark
from netvlad.report.published import Method, compared, method_of, row_of

ROWS = benchmark("tokyo247").published


@pytest.mark.parametrize(
    ("method", "row"),
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
def test_which_row_speaks_of_a_model(method, row):
    assert row_of(method, ROWS) == row


def test_what_a_describer_is():
    def of(name, architecture, **fitted_on):
        facts = {"name": name, "dim": 4096, "architecture": architecture, "fitted_on": fitted_on}
        return method_of(SimpleNamespace(**facts))

    vgg = {"trunk": "vgg16", "pooling": "netvlad", "whitening": 4096}
    assert of("vgg16-netvlad", vgg, training={}) == Method("NetVLAD", "VGG-16", 4096, True, True)
    authors = {"trunk": "vd16", "pooling": "max", "whitening": None}
    assert of("vd16_pitts30k", authors, sessionID="0000") == Method("max pooling", "VGG-16", 4096, False, True)
    assert of("resnet18-gem", {"trunk": "resnet18", "pooling": "gem", "whitening": None}) is None
    sift = {"clusters": 128, "whitening": None}
    assert of("densevlad", sift) == Method("VLAD", "RootSIFT", 4096, False, False)
    assert of("something else", sift) is None
    assert method_of(object()) is None
    for by_cameras in ({"local": {"within": 3}}, {"whitening": {"within": 3}}):
        assert of("vgg16-netvlad", vgg | by_cameras) is None


def test_how_far_a_result_is_off():
    row = ("X", {"all": (70.0, 80.0), "night": (60.0,), "rain": (1.0,)})
    found = compared(row, {"all": [0.713, 0.8, 0.9], "night": [0.55, 0.6, 0.7]})["published"]
    assert found["row"] == "X"
    assert found["off"] == {"all": [1.3, 0.0], "night": [-5.0]}
    assert found["percent"]["rain"] == [1.0]
    assert compared(None, {"all": [0.5]}) == {}
