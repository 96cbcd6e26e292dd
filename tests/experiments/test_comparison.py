"""What `netvlad compare` does, from Python."""

from __future__ import annotations

import json

import pytest

import netvlad as package
from netvlad.errors import NetvladError
from netvlad.experiments.comparison import compare, compare_published
from netvlad.places import read_places

MODEL = "test_resnet-max"


def test_figure_tables_and_results(weights, town, tmp_path):
    options = {"database": town, "queries": town, "workers": 0}
    found = compare([MODEL, "test_resnet-avg"], out=tmp_path, **options)
    assert [path.name for path in found.files] == ["recall.png", "recall.svg", "table.md", "table.tex", "results.json"]
    assert all(path.is_file() for path in found.files)
    (result,) = found.results
    facts = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert list(facts) == [result.task.name]
    assert [method["name"] for method in facts[result.task.name]["methods"]] == [MODEL, "test_resnet-avg"]
    again = compare([MODEL, "test_resnet-avg"], out=tmp_path, **options)
    assert again.results[0].cached == (MODEL, "test_resnet-avg")


def test_dimensions(weights, town, tmp_path):
    model = package.load(MODEL)
    package.fit(model, read_places(town).path, whiten=6, workers=0)
    found = compare(model, out=tmp_path, database=town, queries=town, dims=[4, 2, 4], workers=0)
    assert list(found.results[0].recall) == [f"{MODEL}, 2-D", f"{MODEL}, 4-D"]
    assert found.results[0].swept == {f"{MODEL}, 2-D": (MODEL, 2), f"{MODEL}, 4-D": (MODEL, 4)}
    assert found.files[0].name == "dimensions.png"


def test_published_results_alone(tmp_path):
    assert [p.name for p in compare_published(["holidays"], tmp_path)] == [
        "map.png",
        "map.svg",
        "table.md",
        "table.tex",
    ]
    with pytest.raises(NetvladError, match=r"no published numbers of gsv-cities are known here; choose one of pitts"):
        compare_published(["gsv-cities"], tmp_path)
