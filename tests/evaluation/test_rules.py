from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation.rules import Rules, best_of_each, first_kept, of_other_dates, panorama_numbers
from netvlad.evaluation.run import _rank, evaluate
from netvlad.places import Places
from netvlad.types import Ranking

DAYS = ["2019-05-01", "2019-05-02", "2019-05-03", "NaT"]


def days(*numbers) -> np.ndarray:
    return np.array([DAYS[n] for n in numbers], "datetime64[D]")


def test_by_hand():
    panorama = panorama_numbers(np.array(["a", "", "b", "a", "", "b"], object))
    assert panorama.tolist() == [0, 1, 2, 0, 3, 2]
    ids = np.array([[3, 0, 2, 1, 4, 5], [5, -1, 1, -1, 0, 3]])
    assert best_of_each(ids, panorama).tolist() == [[1, 0, 1, 1, 1, 0], [1, 0, 1, 0, 1, 0]]
    held, asked = days(0, 0, 1, 2, 3, 1), days(0, 3)
    assert of_other_dates(ids, asked, held).tolist() == [[1, 0, 1, 0, 1, 1], [1, 0, 1, 0, 1, 1]]
    scores = -np.arange(12, dtype=np.float32).reshape(2, 6)
    best, score, found = first_kept(ids, scores, np.array([[0, 1, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0]], bool), 2)
    assert best.tolist() == [[0, 1], [1, -1]]
    assert score.tolist() == [[-1, -3], [-8, -np.inf]]
    assert found.tolist() == [2, 1]


class Ranker:
    """Ranks all of a database by fixed distances, as the memory ranker does; counts what it is asked for."""

    name, dim = "ranker", None

    def __init__(self, distances, unreadable=()):
        self.distances, self.asked, self.gone = np.array(distances, float), [], list(unreadable)

    def rank(self, photos, k):
        self.asked.append((len(photos), k))
        rows = [int(path.removeprefix("/q")) for path in photos]
        order = np.argsort(self.distances[rows], axis=1, kind="stable")[:, :k]
        ids = np.full((len(rows), k), -1, np.int64)
        scores = np.full((len(rows), k), -np.inf, np.float32)
        ids[:, : order.shape[1]] = order
        scores[:, : order.shape[1]] = -np.take_along_axis(self.distances[rows], order, axis=1)
        for i, row in enumerate(rows):
            if row in self.gone:
                ids[i], scores[i] = -1, -np.inf
        return Ranking(ids, scores)


def slowly(distances, n, panorama, held, asked, protocol):
    """Every rule as it is said, over the whole database."""
    out = []
    for q, row in enumerate(distances):
        ids, seen = [], set()
        for d in sorted(range(len(row)), key=lambda d: (row[d], d)):
            if protocol.other_dates and asked[q] != "NaT" and held[d] == asked[q]:
                continue
            if protocol.best_per_panorama:
                name = panorama[d] or d
                if name in seen:
                    continue
                seen.add(name)
            ids.append(d)
        out.append((ids + [-1] * n)[:n])
    return out


@st.composite
def cases(draw):
    queries, database = draw(st.integers(1, 4)), draw(st.integers(1, 24))
    row = st.lists(st.integers(0, 6), min_size=database, max_size=database)  # many ties
    return {
        "distances": draw(st.lists(row, min_size=queries, max_size=queries)),
        "panorama": draw(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=database, max_size=database)),
        "held": draw(st.lists(st.sampled_from(DAYS), min_size=database, max_size=database)),
        "asked": draw(st.lists(st.sampled_from(DAYS), min_size=queries, max_size=queries)),
        "n": draw(st.integers(1, 8)),
    }


def table(name, easting, day, panorama=""):
    time = [None if one == "NaT" else f"{one}T12:00:00" for one in day]
    paths = [f"/{name}{i}" for i in range(len(day))]
    return Places.build(path=paths, easting=easting, northing=0.0, time=time, panorama=panorama)


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("other", [False, True])
@given(case=cases())
@settings(deadline=None)
def test_rankings_are_those_of_the_slow_way(best, other, case):
    protocol = Protocol(25.0, (1, case["n"]), best_per_panorama=best, other_dates=other)
    held, asked, panorama = case["held"], case["asked"], case["panorama"]
    if best:
        panorama[0] = "a"
    if other:
        held[0] = asked[0] = DAYS[0]
    database = table("db", 100.0 * np.arange(len(held)), held, panorama)
    queries = table("q", 100.0 * np.arange(len(asked)), asked)
    rules = Rules.of(protocol, database, queries)
    ranking = _rank(Ranker(case["distances"]), queries, case["n"], rules)
    ids, scores = ranking.ids, ranking.scores
    if not rules.any:  # what was asked for is handed on as it is
        assert ids.shape == scores.shape == (len(asked), case["n"])
    want = slowly(case["distances"], case["n"], panorama, held, asked, protocol)
    assert ids.tolist() == want
    score = [[-case["distances"][q][d] if d >= 0 else -np.inf for d in row] for q, row in enumerate(want)]
    assert scores.tolist() == score


def test_enough_is_fetched_for_panoramas_at_once():
    """The nearest four panoramas with all their cut-outs stand before the fifth; the largest are looked at first."""
    names = ["a"] * 12 + ["b"] * 12 + ["c"] * 5 + ["d", "", ""]
    database = table("db", np.arange(32.0), ["NaT"] * 32, names)
    ranker = Ranker([np.arange(32)])
    protocol = Protocol(25.0, (1, 4), best_per_panorama=True)
    (method,) = evaluate({"m": ranker}, database, table("q", [0.0], ["NaT"]), protocol).methods
    assert method.ids.tolist() == [[0, 12, 24, 29]]
    assert ranker.asked == [(1, 30)]  # 12 + 12 + 5 + 1


def test_only_queries_that_came_out_short_are_asked_deeper():
    """600 photos, 500 of the queries' date: 10 N are fetched first, as the authors do, then twice as many."""
    held = [DAYS[0]] * 500 + [DAYS[1]] * 100
    database = table("db", np.zeros(600), held)
    queries = table("q", np.zeros(3), [DAYS[0], DAYS[0], DAYS[1]])
    ranker = Ranker([np.arange(600), -np.arange(600), np.arange(600)])
    protocol = Protocol(25.0, (1, 5), other_dates=True)
    (method,) = evaluate({"m": ranker}, database, queries, protocol).methods
    assert method.ids.tolist() == [[500, 501, 502, 503, 504], [599, 598, 597, 596, 595], [0, 1, 2, 3, 4]]
    assert ranker.asked == [(3, 50), (1, 100), (1, 200), (1, 400), (1, 800)]
    assert set(method.seconds) == {"rank", "search queries deeper"}


def test_photos_of_another_database_in_the_ranking_are_not_its_end():
    class Shared(Ranker):
        def rank(self, photos, k):
            found = super().rank(photos, k)
            ids = np.where(found.ids >= 40, found.ids - 40, -1)  # the first 40 of its index are of another table
            return Ranking(ids, found.scores)

    database = table("db", np.zeros(10), [DAYS[0]] * 8 + [DAYS[1]] * 2)
    ranker = Shared([np.arange(50)])
    (method,) = evaluate(
        {"m": ranker}, database, table("q", [0.0], [DAYS[0]]), Protocol(25.0, (3,), other_dates=True)
    ).methods
    assert method.ids.tolist() == [[8, 9, -1]]


def test_unreadable_queries_are_not_asked_again():
    database = table("db", np.zeros(30), [DAYS[0]] * 30)
    ranker = Ranker([np.arange(30)] * 2, unreadable=[1])
    found = evaluate(
        {"m": ranker}, database, table("q", [0.0, 0.0], [DAYS[1]] * 2), Protocol(25.0, (3,), other_dates=True)
    )
    assert found.methods[0].ids.tolist() == [[0, 1, 2], [-1, -1, -1]]
    assert ranker.asked == [(2, 3)]


@pytest.mark.parametrize(("unmatched", "recall"), [("drop", 0.5), ("keep", 1 / 3)])
def test_a_query_whose_only_true_match_shares_its_date_has_none(unmatched, recall):
    database = table("db", [0.0, 100.0, 101.0, 200.0], [DAYS[0], DAYS[0], DAYS[1], DAYS[3]])
    queries = table("q", [0.0, 100.0, 200.0], [DAYS[0], DAYS[0], DAYS[0]])
    ranker = Ranker([[0, 1, 2, 3], [1, 0, 0.5, 2], [3, 2, 0, 1]])
    protocol = Protocol(25.0, (1,), unmatched, other_dates=True)
    found = evaluate({"m": ranker}, database, queries, protocol)
    assert found.matched.tolist() == [False, True, True]
    assert found.methods[0].ids.tolist() == [[2], [2], [2]]
    assert found.methods[0].recall == pytest.approx({1: recall})


def test_without_a_rule_nothing_is_changed():
    database = table("db", np.zeros(3), [DAYS[0]] * 3, ["a"] * 3)
    ranker = Ranker([np.arange(3)])
    (method,) = evaluate({"m": ranker}, database, table("q", [0.0], [DAYS[0]]), Protocol(25.0, (1, 2))).methods
    assert ranker.asked == [(1, 2)]
    assert method.ids.tolist() == [[0, 1]]


def test_rules_that_cannot_be_followed_are_refused_before_anything_is_described():
    def never():
        raise AssertionError("made for nothing")

    timeless, dated = table("db", [0.0], ["NaT"]), table("q", [0.0], [DAYS[0]])
    other, best = Protocol(other_dates=True), Protocol(best_per_panorama=True)
    for database, queries, protocol, words in (
        (dated, timeless, other, "no query has a time"),
        (timeless, dated, other, "no database photo has a time"),
        (dated, dated, best, "no database photo tells its panorama"),
    ):
        with pytest.raises(NetvladError, match=words):
            evaluate({"m": never}, database, queries, protocol)


def test_no_photos_near_any_query():
    from netvlad.places import radius_neighbors

    database, queries = table("db", [0.0], [DAYS[0]]), table("q", [900.0, 901.0], [DAYS[1]] * 2)
    for protocol in (Protocol(), Protocol(other_dates=True)):
        rules = Rules.of(protocol, database, queries)
        assert rules.matched(radius_neighbors(queries, database, 25.0)).tolist() == [False, False]
