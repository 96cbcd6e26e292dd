import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.benchmarks.protocol import Protocol
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.places import Places
from netvlad.report import page
from netvlad.report.recall_report import choose_queries, summary, write_report


def method(right, name="m", **changes):
    right = np.asarray(right, bool)
    ids = np.zeros(right.shape, np.int64)
    return MethodResult(name, ids, ids.astype(np.float32), right, **{"recall": {1: 0.5}, "seconds": {}, **changes})


def evaluation(*methods, matched, judged=None, **more):
    matched = np.asarray(matched, bool)
    database = Places.build(path=["db.jpg"], lat=[0.0], lon=[9.0])
    queries = Places.build(path=[f"{i}.jpg" for i in range(len(matched))], lat=np.zeros(len(matched)), lon=9.0)
    judged = matched if judged is None else np.asarray(judged, bool)
    return Evaluation(database, queries, Protocol(), list(methods), judged, matched, **more)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "photos" / "a.jpg"
    path.parent.mkdir()
    Image.new("RGB", (40, 30), "red").save(path)
    places = Places.build(path=[path], lat=[0.0], lon=[9.0])
    ids, one = np.zeros((1, 1), np.int64), np.ones(1, bool)
    result = MethodResult("m", ids, ids.astype(np.float32), ids == 0, {1: 1.0}, {"search": 0.5}, 4)
    return Evaluation(places, places, Protocol(), [result], one, one)


def test_results_json_says_what_was_found(small, tmp_path):
    folder = tmp_path / "new" / "report"
    assert write_report(small, folder) == folder / "index.html"
    assert sorted(p.name for p in folder.iterdir()) == ["index.html", "recall.png", "results.json"]
    facts = json.loads((folder / "results.json").read_text("utf-8"))
    assert facts == json.loads(json.dumps(summary(small)))
    assert facts["counts"] == {
        "database": 1,
        "queries": 1,
        "judged": 1,
        "matched": 1,
        "without_match": 0,
        "unreadable": 0,
    }
    assert facts["methods"] == [
        {
            "name": "m",
            "dim": 4,
            "recall": {"1": 1.0},
            "groups": {},
            "stages": {"search": {"seconds": 0.5, "photos": 1, "ms_per_photo": 500.0}},
        }
    ]


def test_stages_are_counted_by_the_photos_they_went_through():
    photos = {
        "describe database": 1,
        "index": 1,
        "describe queries": 3,
        "search index": 3,
        "re-ranking": 3,
        "describe": 1 + 3,
    }
    timed = method([[1]] * 3, seconds=dict.fromkeys(photos, 6.0))
    stages = summary(evaluation(timed, matched=[1, 1, 1]))["methods"][0]["stages"]
    assert {name: stage["photos"] for name, stage in stages.items()} == photos
    assert stages["describe"]["ms_per_photo"] == 1500


def test_counts_tell_judged_matched_and_unreadable_apart():
    facts = summary(
        evaluation(
            method([[1], [0], [0], [0]], recall={1: 0.25, 5: np.nan}),
            matched=[1, 1, 0, 0],
            judged=[1, 1, 1, 1],
            unreadable={Path("/x/y.jpg"): "is empty"},
            config={"seed": np.int64(3), "dims": np.array([1, 2]), "when": np.nan, Path("/a"): Path("/b")},
        )
    )
    assert facts["counts"] == {
        "database": 1,
        "queries": 4,
        "judged": 4,
        "matched": 2,
        "without_match": 2,
        "unreadable": 1,
    }
    assert facts["methods"][0]["recall"] == {"1": 0.25, "5": None}
    assert facts["unreadable"] == {"/x/y.jpg": "is empty"}
    assert facts["config"] == {"seed": 3, "dims": [1, 2], "when": None, "/a": "/b"}
    json.dumps(facts, allow_nan=False)


def test_an_older_report_is_replaced_and_other_files_stay(small, tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "index.html").write_text("old")
    write_report(small, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "index.html").read_text("utf-8").startswith("<!doctype html>")
    assert sorted(p.name for p in folder.iterdir()) == [
        "index.html",
        "notes.txt",
        "recall.png",
        "results.json",
    ]


def test_a_run_that_dies_leaves_the_old_page(small, tmp_path, monkeypatch):
    def die(self):
        raise KeyboardInterrupt

    folder = tmp_path / "report"
    write_report(small, folder)
    old = (folder / "index.html").read_bytes()
    monkeypatch.setattr(page.Thumbnails, "embed", die)
    with pytest.raises(KeyboardInterrupt):
        write_report(small, folder)
    assert (folder / "index.html").read_bytes() == old
    assert sorted(p.name for p in folder.iterdir()) == ["index.html", "recall.png", "results.json"]


def test_without_a_judged_query_there_is_no_curve(small, tmp_path):
    folder = tmp_path / "report"
    write_report(small, folder)
    none = np.zeros(1, bool)
    bad = method([[0]], recall={1: np.nan})
    html = write_report(Evaluation(small.database, small.queries, small.protocol, [bad], none, none), folder).read_text(
        "utf-8"
    )
    assert "no query was judged" in html
    assert not (folder / "recall.png").exists()  # the older one would belong to other numbers


def test_the_page_tells_the_conventions(small, tmp_path):
    more = {"unreadable": {"/data/x/broken.jpg": "cannot be decoded", "/data/y/empty.jpg": "is empty"}}
    html = write_report(
        Evaluation(
            small.database,
            small.queries,
            Protocol(10, (1,), "keep"),
            small.methods,
            small.judged,
            small.matched,
            **more,
        ),
        tmp_path / "report",
    ).read_text("utf-8")
    assert "within 10 m" in html
    assert "stay in the denominator" in html
    assert "<li>x/broken.jpg: cannot be decoded</li>" in html
    assert "<td>100.0</td>" in html
    assert "search 0.5 s, 500 ms a photo" in html


def test_all_queries_have_photos_when_there_are_few():
    rows, words = choose_queries(evaluation(method([[1], [0]]), matched=[1, 1]), limit=2)
    assert rows.tolist() == [0, 1]
    assert words == "All 2 queries are shown with their photos."


def test_photos_are_shared_out_evenly_over_right_wrong_and_unmatched():
    right = [[1]] * 90 + [[0]] * 6 + [[0]] * 4
    rows, words = choose_queries(evaluation(method(right), matched=[1] * 96 + [0] * 4), limit=14)
    assert len(rows) == len(set(rows.tolist())) == 14
    assert [int(((rows >= a) & (rows < b)).sum()) for a, b in ((0, 90), (90, 96), (96, 100))] == [5, 5, 4]
    assert rows[:5].tolist() == [0, 18, 36, 54, 72]  # at even steps, not the first five
    assert "5 of the 90 right at 1, 5 of the 6 wrong at 1, 4 of the 4 without a true match" in words


def test_photos_are_never_only_the_right_ones():
    for limit in range(2, 30):
        rows, _ = choose_queries(evaluation(method([[1]] * 97 + [[0]] * 3), matched=[1] * 100), limit)
        assert len(rows) == limit
        assert (rows >= 97).any()


def test_methods_that_disagree_make_a_group_of_their_own():
    one, two = method([[1]] * 20 + [[0]] * 20), method([[1]] * 10 + [[0]] * 30)
    rows, words = choose_queries(evaluation(one, two, matched=[1] * 40), limit=6)
    assert [int(((rows >= a) & (rows < b)).sum()) for a, b in ((0, 10), (10, 20), (20, 40))] == [2, 2, 2]
    assert "right at 1 by some methods only" in words


def test_the_rules_of_a_protocol_are_told(small, tmp_path):
    def told(**rules):
        found = Evaluation(small.database, small.queries, Protocol(**rules), small.methods, small.judged, small.matched)
        protocol = summary(found)["protocol"]
        assert {name: protocol[name] for name in rules} == rules
        html = write_report(found, tmp_path / "report").read_text("utf-8")
        return ["only the best of them counts" in html, "do not count, neither as matches nor as true ones" in html]

    assert told() == [False, False]
    assert told(best_per_panorama=True) == [True, False]
    assert told(other_dates=True) == [False, True]
