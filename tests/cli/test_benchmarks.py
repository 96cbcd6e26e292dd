"""The field's benchmarks through check, evaluate and compare, on made-up trees of their layouts."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from netvlad.benchmarks import benchmark, list_benchmarks
from netvlad.describe.network import NetworkDescriber
from netvlad.types import Method

_SPEC = importlib.util.spec_from_file_location("trees", Path(__file__).with_name("trees.py"))
trees = importlib.util.module_from_spec(_SPEC)
sys.modules["trees"] = trees
_SPEC.loader.exec_module(trees)

MODEL = "test_resnet-max"
JUDGED = [name for name in list_benchmarks() if benchmark(name).kind != "train"]
ONE_OF_EACH = ["pitts30k-test", "tokyo247", "tokyo-tm-val", "msls-val", "msls-val-40deg", "nordland-summer-winter"]
ONE_OF_EACH += ["nordland-winter-summer", "sf-xl-test-night", "at-named-val", "amstertime", "oxford5k"]
ONE_OF_EACH += ["roxford5k-easy", "roxford5k-hard", "holidays", "campus-day-night"]


@pytest.mark.parametrize("name", JUDGED)
def test_every_benchmark_is_read_from_its_layout(name, tmp_path):
    known = benchmark(name)
    split = known.read(trees.write(name, tmp_path))
    assert len(split.database) > 0
    assert len(split.queries) > 0
    # nothing is amiss but the size
    assert all("where the published set has" in line for line in known.check(tmp_path))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_evaluate(name, netvlad, tmp_path):
    root = trees.write(name, tmp_path / "tree")
    given = ["--benchmark", name, "--root", root, "--model", MODEL, "--workers", "0"]
    ran = netvlad("evaluate", *given, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    facts = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    known, (method,) = benchmark(name), facts["methods"]
    for term, words in facts["rules"].items():
        assert f"{term}: {words}" in ran.out
    assert facts["rules"]["Benchmark"] == f"{name}."
    assert facts["counts"]["judged"] == facts["counts"]["queries"]  # every query has a right photo
    if known.kind == "map":
        assert method["map"] == 1.0
        assert method["precision_at"]["1"] == 1.0
    else:
        assert method["recall"]["1"] == 1.0
        assert list(method["recall"]) == [str(n) for n in known.protocol.ns]
    assert all(term in facts["rules"] for term in ("A match is right", "Queries without any true match"))


def test_conditions_are_told_apart(netvlad, tmp_path):
    """A query by night that is found nowhere near its place."""
    root = trees.write("tokyo247", tmp_path / "tree")
    trees.draw(root / "query" / "00003.jpg", 12)  # at the first spot, but it shows the second
    given = ["--benchmark", "tokyo247", "--root", root, "--model", MODEL, "--workers", "0"]
    ran = netvlad("evaluate", *given, "--out", tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    (method,) = facts["methods"]
    assert facts["groups"] == {"day": 2, "sunset": 2, "night": 2, "sunset/night": 4}
    assert method["recall"]["1"] == pytest.approx(5 / 6, abs=1e-6)
    assert {group: recall["1"] for group, recall in method["groups"].items()} == {
        "day": 1.0,
        "sunset": 1.0,
        "night": 0.5,
        "sunset/night": 0.75,
    }
    assert method["recall"]["2"] == 1.0  # of two panoramas the second best is the other: cut-outs do not fill the list
    assert facts["protocol"]["best_per_panorama"] is True
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["night", "50.0", "100.0", "100.0"] in [line[-4:] for line in lines]
    assert any(line.startswith("Published numbers are of NetVLAD VGG-16") for line in ran.out.splitlines())


def test_published_numbers_stand_beside_the_model_they_are_of(netvlad, tmp_path, monkeypatch):
    as_rootsift = property(lambda self: Method("VLAD", "RootSIFT", 16384, False, False))
    monkeypatch.setattr(NetworkDescriber, "method", as_rootsift)
    root = trees.write("tokyo247", tmp_path / "tree")
    given = ["--benchmark", "tokyo247", "--root", root, "--workers", "0"]
    ran = netvlad("evaluate", *given, "--model", MODEL, "--out", tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    published = facts["methods"][0]["published"]
    assert published["row"] == "RootSIFT + VLAD"
    assert published["off"]["all"] == [71.4, 59.4, 55.6]  # 100 - 28.6, 40.6, 44.4
    assert published["off"]["sunset/night"] == [85.7, 73.4, 69.6]
    assert "this run is off by +71.4, +59.4, +55.6" in ran.out
    ran = netvlad("compare", *given, "--models", MODEL, "--out", tmp_path / "figure")
    table = (tmp_path / "figure" / "table.md").read_text("utf-8").splitlines()
    assert table[3].startswith("| *RootSIFT + VLAD (published)* | 28.6 | 40.6 | 44.4 |")
    assert "view synthesis" not in "".join(table)  # of no compared model


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "roxford5k-medium"])
def test_compare(name, netvlad, tmp_path):
    root = trees.write(name, tmp_path / "tree")
    given = ["compare", "--benchmark", name, "--root", root, "--workers", "0", "--out", tmp_path / "figure"]
    ran = netvlad(*given, "--clusters", "2", "--models", MODEL, "test_resnet-netvlad")
    assert ran.code == 0, ran.err
    figure = "map" if benchmark(name).kind == "map" else "recall"
    assert sorted(path.name for path in (tmp_path / "figure").iterdir()) == sorted(
        ["answers", f"{figure}.png", f"{figure}.svg", "results.json", "table.md", "table.tex"]
    )
    table = (tmp_path / "figure" / "table.md").read_text("utf-8")
    assert f"| {MODEL} | **100.0** |" in table
    assert "| test_resnet-netvlad |" in table
    assert f"- Benchmark: {name}." in table
    facts = json.loads((tmp_path / "figure" / "results.json").read_text("utf-8"))
    assert [m["name"] for m in facts[name]["methods"]] == [MODEL, "test_resnet-netvlad"]
    assert "<svg" in (tmp_path / "figure" / f"{figure}.svg").read_text("utf-8")


def test_regions_of_interest_are_asked_for_and_not_the_whole(netvlad, tmp_path):
    root = trees.write("oxford5k", tmp_path / "tree")
    given = ["evaluate", "--benchmark", "oxford5k", "--root", root, "--model", MODEL, "--workers", "0"]

    def found(*more) -> tuple[dict, str]:
        assert netvlad(*given, *more, "--out", tmp_path / "out").code == 0
        facts = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
        return facts["methods"][0], facts["rules"]["Queries are described"]

    method, words = found()
    assert method["average_precision"] == {"q_0": 1.0, "q_1": 1.0, "q_2": 1.0}
    assert words == "as is, cropped to their region of interest."
    method, words = found("--whole-queries")
    assert words == "as is, whole."
    assert method["map"] < 1


def test_a_wrong_tree_says_what_to_do(refused, netvlad, tmp_path):
    root = trees.write("pitts30k-test", tmp_path / "tree")
    given = ["--model", MODEL, "--workers", "0"]
    on = ["evaluate", *given, "--root", root, "--benchmark"]
    assert "no benchmark is called 'pits'; choose one of pitts250k" in refused(*on, "pits")
    assert refused(*on, "pitts30k").startswith("pitts30k has several parts; choose one of pitts30k-train")
    assert refused(*on, "pitts30k-val").startswith(f"{root}: holds neither datasets/pitts30k_val.mat")
    assert refused(*on, "gsv-cities") == "gsv-cities has no queries: it is to train on"
    assert "--radius" in refused(*on, "pitts30k-test", "--radius", "10")
    ran = netvlad("evaluate", *given, "--benchmark", "pitts30k-test")
    assert ran.code == 1
    assert "needs --root, the folder it is in:\nROOT/" in ran.err
    (root / "images" / "000" / "000001_pitch1_yaw1.jpg").unlink()
    message = refused(*on, "pitts30k-test")
    assert message.endswith(f"1 of 8 database photos are absent in {root}: images/000/000001_pitch1_yaw1.jpg")
    assert refused("compare", "--root", root, "--out", tmp_path / "f", "--benchmark", "pitts30k-test") == message
    assert not (tmp_path / "f").exists()
    assert "give --database and --queries, or --benchmark" in refused("evaluate", *given)
    rerank = refused("evaluate", *given, "--benchmark", "holidays", "--root", holiday(tmp_path), "--rerank", "5")
    assert "holidays judges a ranking of all its photos" in rerank


def holiday(tmp_path) -> Path:
    return trees.write("holidays", tmp_path / "holidays")
