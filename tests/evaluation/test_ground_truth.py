from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.evaluation import run
from netvlad.evaluation.ground_truth import by_list, by_place
from netvlad.evaluation.run import evaluate
from netvlad.places import Places
from netvlad.places.place_matches import is_place_match
from netvlad.types import Ranking

DAYS = ["2019-05-01", "2019-05-02", None]
NS = (1, 2, 3, 5, 10)


@pytest.fixture(scope="module", autouse=True)
def no_environment():
    """Evaluations by the hundred need not ask git each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "environment", dict)
        yield


def table(name, metres, headings=None, days=None, panoramas=None) -> Places:
    times = None if days is None else [day and f"{day}T12:00:00" for day in days]
    paths = [f"/{name}{i}" for i in range(len(metres))]
    easting = np.array(metres, float)
    more = {"heading": headings, "time": times, "panorama": panoramas}
    return Places.build(path=paths, easting=easting, northing=0.0, **more)


def test_by_hand():
    database, queries = table("d", [0, 10, 20, 100]), table("q", [5, 95, 50])
    ground_truth = by_place(queries, database, 15)
    assert [ground_truth.near.of(q)[0].tolist() for q in range(3)] == [[0, 1, 2], [3], []]
    ids = np.array([[3, 2, -1], [3, 0, 1], [0, 1, 2]])
    assert ground_truth.correct(ids).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_headings_go_around_north_and_the_limit_is_included():
    database = table("d", [0] * 6, [350, 30, 31, 190, np.nan, 310])
    ground_truth = by_place(table("q", [0, 0], [350, np.nan]), database, 1, heading=40)
    assert ground_truth.correct(np.tile(np.arange(6), (2, 1))).tolist() == [[1, 1, 0, 0, 0, 1], [0] * 6]
    assert np.diff(ground_truth.near.offsets).tolist() == [3, 0]


def test_a_rule_on_headings_that_are_unknown_is_refused():
    known, unknown = table("d", [0], [10]), table("q", [0])
    with pytest.raises(NetvladError, match="no query has a heading"):
        by_place(unknown, known, 25, heading=40)
    with pytest.raises(NetvladError, match="no database photo has a heading"):
        by_place(known, unknown, 25, heading=40)


def test_lists():
    ground_truth = by_list([np.array([2, 0, 2]), np.array([], int), [1]], 3)
    assert [ground_truth.near.of(q)[0].tolist() for q in range(3)] == [[0, 2], [], [1]]
    assert ground_truth.correct(np.array([[0, 1], [0, -1], [2, 1]])).tolist() == [[1, 0], [0, 0], [0, 1]]
    assert by_list([[], []], 3).correct(np.array([[0], [1]])).tolist() == [[0], [0]]
    for odd in (3, -1):
        with pytest.raises(NetvladError, match=f"row {odd} is listed .* rows 0 to 2"):
            by_list([[0, odd]], 3)


@given(
    database=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    queries=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    radius=st.integers(0, 30),
    data=st.data(),
)
@settings(deadline=None)
def test_a_place_is_what_places_say(database, queries, radius, data):
    ids = data.draw(st.lists(st.integers(-1, len(database) - 1), min_size=len(queries), max_size=len(queries)))
    held, asked = table("d", database), table("q", queries)
    ids = np.array(ids)[:, None]
    np.testing.assert_array_equal(by_place(asked, held, radius).correct(ids), is_place_match(asked, held, ids, radius))


def test_radius_and_list_exclude_each_other():
    database, queries = table("d", [0]), table("q", [0])
    for protocol, positives in ((Protocol(), [[0]]), (Protocol(radius=None), None)):
        with pytest.raises(NetvladError, match="right is either"):
            evaluate({"m": ByDistance([[0]])}, database, queries, protocol, positives=positives)
    with pytest.raises(NetvladError, match="positives of 2 queries are listed; there are 1"):
        evaluate({"m": ByDistance([[0]])}, database, queries, Protocol(radius=None), positives=[[0], [0]])


# -- every rule at once, against the rules as they are said ----------------------------------------------------------


class ByDistance:
    """Ranks by given distances, ties by row."""

    name, dim = "by distance", None

    def __init__(self, distances):
        self.distances = np.array(distances, float)

    def rank(self, photos, k):
        distances = self.distances[[int(path.removeprefix("/q")) for path in photos]]
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        ids, scores = np.full((len(photos), k), -1), np.full((len(photos), k), -np.inf, np.float32)
        ids[:, : order.shape[1]] = order
        scores[:, : order.shape[1]] = -np.take_along_axis(distances, order, 1)
        return Ranking(ids, scores)


def said(case, q: int, d: int) -> bool:
    """Whether database photo d is right for query q."""
    if case["positives"] is not None:
        return d in case["positives"][q]
    if abs(case["queries"][q] - case["database"][d]) > 25:
        return False
    if case["heading"] is None:
        return True
    apart = abs(case["asked heading"][q] - case["held heading"][d])
    return min(apart, 360 - apart) <= case["heading"]


def hidden(case, q: int, d: int) -> bool:
    day = case["asked day"][q]
    return case["dates"] and day is not None and case["held day"][d] == day


def slowly(case, group=None) -> dict[int, float]:
    rows = range(len(case["database"]))
    hits, judged = dict.fromkeys(NS, 0), 0
    for q, distances in enumerate(case["distances"]):
        if group is not None and not group[q]:
            continue
        allowed = [d for d in rows if not hidden(case, q, d)]
        if case["unmatched"] == "drop" and not any(said(case, q, d) for d in allowed):
            continue
        judged += 1
        ranking, seen = [], set()
        for d in sorted(allowed, key=lambda d: (distances[d], d)):
            panorama = case["panorama"][d] or f"photo {d}"
            if not (case["best"] and panorama in seen):
                ranking.append(d)
            seen.add(panorama)
        for n in NS:
            hits[n] += any(said(case, q, d) for d in ranking[:n])
    return {n: hits[n] / judged if judged else float("nan") for n in NS}


@st.composite
def cases(draw):
    d, q = draw(st.integers(1, 14)), draw(st.integers(1, 5))

    def column(values, n):
        return draw(st.lists(values, min_size=n, max_size=n))

    degrees, listed = st.sampled_from([0, 20, 40, 90, 330, 350]), draw(st.booleans())
    case = {
        "database": column(st.integers(0, 8).map(lambda x: 10 * x), d),
        "queries": column(st.integers(0, 14).map(lambda x: 10 * x), q),
        "held heading": column(degrees, d),
        "asked heading": column(degrees, q),
        "held day": column(st.sampled_from(DAYS), d),
        "asked day": column(st.sampled_from(DAYS), q),
        "panorama": column(st.sampled_from(["", "a", "b", "c"]), d),
        "distances": [column(st.integers(0, 4), d) for _ in range(q)],
        "heading": None if listed else draw(st.sampled_from([None, 0, 40])),
        "positives": [sorted(set(column(st.integers(0, d - 1), draw(st.integers(0, 3))))) for _ in range(q)],
        "best": draw(st.booleans()),
        "dates": draw(st.booleans()),
        "unmatched": draw(st.sampled_from(["keep", "drop"])),
        "group": np.array(column(st.booleans(), q), bool),
    }
    if not listed:
        case["positives"] = None
    case["panorama"][0], case["held day"][0], case["asked day"][0] = "a", DAYS[0], DAYS[0]  # or the rule is refused
    return case


@given(case=cases())
@settings(deadline=None, max_examples=150)
def test_recall_is_that_of_the_rules_as_they_are_said(case):
    database = table("d", case["database"], case["held heading"], case["held day"], case["panorama"])
    queries = table("q", case["queries"], case["asked heading"], case["asked day"])
    protocol = Protocol(
        radius=25.0 if case["positives"] is None else None,
        ns=NS,
        unmatched=case["unmatched"],
        best_per_panorama=case["best"],
        other_dates=case["dates"],
        heading=case["heading"],
    )
    found = evaluate(
        {"m": ByDistance(case["distances"])},
        database,
        queries,
        protocol,
        positives=case["positives"],
        groups={"some": case["group"]},
    )
    (method,) = found.methods
    assert method.recall == pytest.approx(slowly(case), nan_ok=True, abs=1e-12)
    assert method.groups == {"some": pytest.approx(slowly(case, case["group"]), nan_ok=True, abs=1e-12)}
