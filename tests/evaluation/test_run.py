from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError, PlacesError
from netvlad.evaluation import run
from netvlad.evaluation.run import environment, evaluate
from netvlad.places import Places
from netvlad.report.recall_report import summary
from netvlad.types import Ranking


def street(*metres, name="db") -> Places:
    paths = [f"/{name}{i}.jpg" for i in range(len(metres))]
    return Places.build(path=paths, easting=np.array(metres, float), northing=0.0)


class Fixed:
    """Ranks as it was told."""

    name = "fixed"

    def __init__(self, ids, dim=None, **more):
        self.ids, self.dim, self.more = np.array(ids, np.int64), dim, more

    def rank(self, photos, k):
        self.asked = list(photos), k
        scores = -np.arange(self.ids[:, :k].size, dtype=np.float32).reshape(len(photos), -1)
        return Ranking(self.ids[:, :k], scores, **self.more)


DATABASE = street(0, 10, 20, 100, 200)
QUERIES = street(1, 101, 150, 205, name="q")  # 150 m is of no photo
RADIUS = Protocol(radius=12.0, ns=(1, 2, 3))
#         right at 1, right at 3, never possible, wrong throughout
IDS = [[1, 0, 4], [0, 1, 3], [3, 4, 0], [0, 1, -1]]


def test_by_hand():
    ranker = Fixed(IDS, dim=7, seconds={"search": 0.5})
    found = evaluate({"m": ranker}, DATABASE, QUERIES, RADIUS)
    assert ranker.asked == (QUERIES.path.tolist(), 3)
    assert found.matched.tolist() == [True, True, False, True]
    assert found.judged.tolist() == found.matched.tolist()
    (method,) = found.methods
    assert method.correct.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert method.recall == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 2 / 3})
    assert (method.name, method.dim, method.seconds) == ("m", 7, {"search": 0.5})
    assert method.ids.tolist() == IDS
    assert found.unreadable == {}
    assert (found.database, found.queries, found.protocol) == (DATABASE, QUERIES, RADIUS)


def test_unmatched_queries_are_kept_where_the_protocol_says_so():
    keep = Protocol(radius=12.0, ns=(1, 2, 3), unmatched="keep")
    found = evaluate({"m": Fixed(IDS)}, DATABASE, QUERIES, keep)
    assert found.judged.tolist() == [True] * 4
    assert found.matched.tolist() == [True, True, False, True]
    assert found.methods[0].recall == pytest.approx({1: 1 / 4, 2: 1 / 4, 3: 2 / 4})


@pytest.mark.parametrize("unmatched", ["keep", "drop"])
def test_unreadable_queries_are_judged_for_no_method(unmatched):
    """Otherwise two methods would be measured on different queries."""
    protocol = Protocol(radius=12.0, ns=(1,), unmatched=unmatched)
    one = Fixed(IDS)
    other = Fixed(IDS, unreadable={"/q1.jpg": "is empty (0 bytes)", "/db3.jpg": "no such file"})
    found = evaluate({"one": one, "other": other}, DATABASE, QUERIES, protocol)
    assert found.judged.tolist() == [True, False, unmatched == "keep", True]
    assert found.unreadable == {"/q1.jpg": "is empty (0 bytes)", "/db3.jpg": "no such file"}
    want = 1 / 3 if unmatched == "keep" else 1 / 2
    assert [method.recall[1] for method in found.methods] == pytest.approx([want, want])


def test_one_query_and_one_photo():
    found = evaluate({"m": Fixed([[0]])}, street(5), street(5, name="q"), Protocol(radius=0.0))
    assert found.methods[0].recall[1] == found.methods[0].recall[100] == 1.0


@pytest.mark.parametrize(("unmatched", "want"), [("keep", 0.0), ("drop", float("nan"))])
def test_no_query_has_a_match(unmatched, want):
    protocol = Protocol(radius=1.0, ns=(1, 5), unmatched=unmatched)
    found = evaluate({"m": Fixed([[0, 1]])}, street(0, 50), street(20, name="q"), protocol)
    assert not found.matched.any()
    assert found.methods[0].recall == pytest.approx({1: want, 5: want}, nan_ok=True)
    assert summary(found)["counts"]["without_match"] == 1


def test_an_unreadable_database_photo_does_not_make_its_query_unmatched():
    ranker = Fixed([[1]], unreadable={"/db0.jpg": "no such file"})
    found = evaluate({"m": ranker}, street(0, 50), street(0, name="q"), Protocol(radius=1.0, ns=(1,)))
    assert found.judged.tolist() == [True]
    assert found.methods[0].recall == {1: 0.0}


def test_rankers_are_made_in_turn_and_let_go_of():
    alive, order = [], []

    def maker(name):
        def make():
            gc.collect()
            assert all(ref() is None for ref in alive), "the one before is still in memory"
            order.append(name)
            ranker = Fixed(IDS)
            alive.append(weakref.ref(ranker))
            return ranker

        return make

    found = evaluate({name: maker(name) for name in "cab"}, DATABASE, QUERIES, RADIUS)
    assert order == list("cab")
    assert [method.name for method in found.methods] == order


def test_a_ranker_that_measures_nothing_is_timed():
    (method,) = evaluate({"m": Fixed(IDS)}, DATABASE, QUERIES, RADIUS).methods
    assert list(method.seconds) == ["rank"]
    assert method.seconds["rank"] >= 0
    assert method.dim is None


def test_the_default_protocol_is_the_papers():
    found = evaluate({"m": Fixed(IDS)}, DATABASE, QUERIES)
    assert found.protocol == Protocol(25.0, (1, 2, 3, 4, 5, *range(10, 101, 5)), "drop")
    assert found.matched.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("database", "queries", "message"),
    [
        (street(), street(1), "0 database photos and 1 queries"),
        (street(1), street(), "1 database photos and 0 queries"),
    ],
)
def test_nothing_to_evaluate(database, queries, message):
    def never():
        raise AssertionError("made for nothing")

    with pytest.raises(NetvladError, match=message):
        evaluate({"m": never}, database, queries)


def test_no_method():
    with pytest.raises(NetvladError, match="no method was given"):
        evaluate({}, DATABASE, QUERIES)


def test_frames_that_do_not_fit_are_refused_before_anything_is_described():
    def never():
        raise AssertionError("made for nothing")

    geodetic = Places.build(path=["/g.jpg"], lat=1.0, lon=2.0)
    with pytest.raises(PlacesError):
        evaluate({"m": never}, geodetic, QUERIES)


def test_what_the_numbers_depend_on_is_told():
    found = evaluate({"m": Fixed(IDS)}, DATABASE, QUERIES, RADIUS, {"seed": 3, "models": ["m"]})
    assert found.config["seed"] == 3
    around = found.config["environment"]
    assert {"python", "system", "cores", "netvlad", "torch", "numpy", "commit"} <= around.keys()
    json.dumps(around)


def test_an_installed_package_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "__file__", str(tmp_path / "lib" / "site-packages" / "netvlad" / "evaluation" / "run.py"))
    assert environment()["commit"] is None


def test_labels_are_the_truth_where_positions_are_missing():
    database = Places.build(path=["/a.jpg", "/b.jpg", "/c.jpg"], place=["x", "y", "y"])
    queries = Places.build(path=["/q.jpg", "/r.jpg", "/s.jpg"], place=["y", "x", "unknown"])
    found = evaluate({"m": Fixed([[0, 1, 2], [0, 2, 1], [0, 1, 2]])}, database, queries, RADIUS)
    (method,) = found.methods
    assert found.matched.tolist() == [True, True, False]
    assert method.correct.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert method.recall == pytest.approx({1: 1 / 2, 2: 1, 3: 1})
