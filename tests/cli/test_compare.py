from __future__ import annotations

import json
import re

import numpy as np
import pytest

import netvlad as package
from netvlad.evaluation.recall import recall_at
from netvlad.places import is_within, read_places

MODEL = "test_resnet-max"


@pytest.fixture
def own(town, tmp_path):
    """Options for the town against itself, the folder, and what was described since it was last cleared."""
    return ["compare", "--database", town, "--queries", town, "--workers", "0", "--out", tmp_path / "figure"]


@pytest.fixture
def described(monkeypatch):
    """What is described, by model and stage; `stop` names the model at which a person interrupts."""
    from netvlad.search.rankers import MemoryRanker

    class Log(list):
        stop = None

    log, describe = Log(), MemoryRanker.describe

    def noted(self, photos, stage):
        if self.name == log.stop:
            raise KeyboardInterrupt
        log.append((self.name, stage))
        return describe(self, photos, stage)

    monkeypatch.setattr(MemoryRanker, "describe", noted)
    return log


def results(tmp_path) -> dict:
    (facts,) = json.loads((tmp_path / "figure" / "results.json").read_text("utf-8")).values()
    return facts


def test_what_was_interrupted_goes_on_with_the_next_method(netvlad, own, described, tmp_path):
    models = ["--models", MODEL, "test_resnet-netvlad", "test_resnet-avg", "--clusters", "2"]
    described.stop = "test_resnet-avg"
    ran = netvlad(*own, *models)
    assert ran.code == 130
    assert "run the same command again to go on" in ran.err
    assert not (tmp_path / "figure" / "results.json").exists()
    assert [name for name, _ in described] == [MODEL] * 2 + ["test_resnet-netvlad"] * 2
    described.stop = None
    described.clear()
    ran = netvlad(*own, *models)
    assert ran.code == 0
    assert described == [("test_resnet-avg", "describe database"), ("test_resnet-avg", "describe queries")]
    assert f"rankings read from the cache of an earlier run:\n  {MODEL}\n  test_resnet-netvlad\n" in ran.err
    facts = results(tmp_path)
    assert [(m["name"], m["dim"], m["recall"]["1"]) for m in facts["methods"]] == [
        (MODEL, 192, 1.0),
        ("test_resnet-netvlad", 384, 1.0),
        ("test_resnet-avg", 192, 1.0),
    ]
    assert set(facts["methods"][0]["stages"]) == {"describe database", "describe queries", "search"}


def test_what_an_answer_depends_on(netvlad, own, described, town, tmp_path):
    def asked(*more) -> list:
        described.clear()
        assert netvlad(*own, "--models", "test_resnet-netvlad", "--clusters", "2", *more).code == 0
        return list(described)

    assert asked()
    assert not asked()
    assert not asked("--radius", "3")  # judged anew, not described anew
    assert asked("--seed", "1")  # other centres
    assert asked("--clusters", "3")
    table = tmp_path / "turned.csv"
    lines = (town / "places.csv").read_text().splitlines()
    rows = [f"{town}/{line}" for line in reversed(lines[1:])]
    table.write_text("\n".join([lines[0], *rows]) + "\n")
    assert asked("--database", table)  # other rows
    for broken in (tmp_path / "figure" / "answers").iterdir():
        broken.write_bytes(broken.read_bytes()[:100])
    assert asked()  # half a file is none


@pytest.fixture
def whitened(town, tmp_path, weights):
    model = package.load(MODEL)
    package.fit(model, read_places(town).path, whiten=6, workers=0)
    return model.save(tmp_path / "white")


def test_recall_against_the_dimension(netvlad, own, described, whitened, town, tmp_path):
    ran = netvlad(*own, "--models", whitened, "--dims", "2", "4", "6", "--radius", "12")
    assert ran.code == 0, ran.err
    assert described == [(MODEL, "describe database"), (MODEL, "describe queries")]  # once for all dimensions
    assert sorted(path.name for path in (tmp_path / "figure").iterdir()) == sorted(
        ["answers", "dimensions.png", "dimensions.svg", "results.json", "table.md", "table.tex"]
    )
    methods = results(tmp_path)["methods"]
    assert [(m["name"], m["dim"]) for m in methods] == [(f"white, {d}-D", d) for d in (2, 4, 6)]
    places = read_places(town)
    for method in methods:
        vectors = package.load(whitened, dim=method["dim"]).describe(places.path)
        ids = np.argsort(((vectors[:, None] - vectors) ** 2).sum(-1), axis=1, kind="stable")
        right = is_within(places, places, ids, 12.0)
        want = recall_at(right, np.ones(len(places), bool), [1, 2, 5])
        assert {n: method["recall"][str(n)] for n in want} == pytest.approx(want, abs=1e-6)
    described.clear()
    assert netvlad(*own, "--models", whitened, "--dims", "2,3", "--radius", "12").code == 0
    assert [m["dim"] for m in results(tmp_path)["methods"]] == [2, 3]
    assert len(described) == 2  # for 3 alone, but for that


def test_folders_are_called_by_their_last_part(netvlad, own, whitened, tmp_path):
    package.load(MODEL).save(tmp_path / "other" / "white")
    assert netvlad(*own, "--models", whitened, MODEL).code == 0
    assert [m["name"] for m in results(tmp_path)["methods"]] == ["white", MODEL]
    both = [str(whitened), str(tmp_path / "other" / "white")]
    assert netvlad(*own, "--models", *both).code == 0
    assert [m["name"] for m in results(tmp_path)["methods"]] == both


def test_published_numbers_need_no_photos(netvlad, tmp_path):
    out = tmp_path / "figure"
    ran = netvlad("compare", "--benchmark", "tokyo247", "--published", "--out", out)
    assert ran.code == 0
    assert sorted(path.name for path in out.iterdir()) == ["recall.png", "recall.svg", "table.md", "table.tex"]
    table = (out / "table.md").read_text("utf-8")
    assert "| *NetVLAD VGG-16 + whitening 4096-D (published)* | 71.7 | 82.5 | 86.3 | 61.3 | 75.6 | 80.8 |" in table
    tex = (out / "table.tex").read_text("utf-8")
    assert r"\emph{NetVLAD VGG-16 + whitening 4096-D (published)} & 71.7 & 82.5 & 86.3 & 61.3" in tex
    ran = netvlad("compare", "--benchmark", "oxford5k", "--benchmark", "pitts250k-test", "--published", "--out", out)
    assert ran.code == 0
    assert (out / "map.png").is_file()
    table = (out / "table.md").read_text("utf-8")
    assert re.search(r"\*NetVLAD VGG-16 \+ whitening 256-D \(published\)\* \| 63.5 \| – \| – \| – \|", table)


def test_wrong_use(refused, netvlad, own, tmp_path):
    assert f"{MODEL} is not whitened" in refused(*own, "--models", MODEL, "--dims", "4")
    assert "stands behind no option; models" in refused(*own, "resnet18-max")
    assert "stands behind no option; dimensions" in refused(*own, "--models", MODEL, "64")
    assert "--dims many: a number from 1 up" in refused(*own, "--models", MODEL, "--dims", "many")
    assert "no published numbers of pitts30k-train are known" in refused(
        "compare", "--benchmark", "pitts30k-train", "--published", "--out", tmp_path
    )
    assert "--published needs --benchmark" in refused("compare", "--published", "--out", tmp_path)
    assert "give --database and --queries, or" in refused("compare", "--models", MODEL, "--out", tmp_path)


def test_more_numbers_than_there_are(refused, own, whitened):
    assert "white has 6 numbers: 7 cannot be kept" in refused(*own, "--models", whitened, "--dims", "3", "7")


def test_nothing_to_draw_is_said(netvlad, own, town, tmp_path):
    far = tmp_path / "far.csv"
    far.write_text(f"path,lat,lon\n{town / '0.jpg'},10,10\n")
    ran = netvlad(*own, "--queries", far, "--models", MODEL)
    assert ran.code == 0
    assert "no figure: nothing to draw" in ran.err
    assert "| test_resnet-max | – | – | – |" in (tmp_path / "figure" / "table.md").read_text("utf-8")
