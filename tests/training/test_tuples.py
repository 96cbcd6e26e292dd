from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.errors import NetvladError, PlacesError
from netvlad.places import Places
from netvlad.training.tuples import Mining, Tuples

NUMBERS = itertools.count()


def names(n: int) -> list[str]:
    """No two photos of all tables are the same."""
    return [f"{next(NUMBERS)}.jpg" for _ in range(n)]


def table(xy, days=None) -> Places:
    """Photos at metres `xy`, taken at noon of a day of May 2025, None unknown."""
    xy = np.asarray(xy, float).reshape(-1, 2)
    times = None if days is None else [None if d is None else f"2025-05-{d:02d}T12:00:00" for d in days]
    return Places.build(path=names(len(xy)), easting=xy[:, 0], northing=xy[:, 1], time=times)


def distances_of(database: np.ndarray, query: np.ndarray):
    return lambda rows: ((database[rows] - query) ** 2).sum(1).astype(np.float32)


def brute_force(db, q, d_days, q_day, rule, within=10.0, apart=1.0, elsewhere=25.0):
    """Potential positives and definite negatives of one query, pair by pair."""
    positives, negatives = [], []
    for i, (x, y) in enumerate(db):
        metres = float(np.hypot(x - q[0], y - q[1]))
        known = d_days[i] is not None and q_day is not None
        dated = {
            "any": True,
            "other-date": known and d_days[i] != q_day,
            "same-date": known and d_days[i] == q_day,
        }
        if apart < metres <= within and dated[rule]:
            positives.append(i)
        if metres > elsewhere:
            negatives.append(i)
    return positives, negatives


worlds = st.tuples(st.integers(0, 100_000), st.integers(1, 25), st.integers(1, 5), st.sampled_from([20, 60, 200]))


@settings(max_examples=80, deadline=None)
@given(worlds, st.sampled_from(["any", "other-date", "same-date"]), st.integers(1, 12))
def test_against_brute_force(world, rule, sample):
    seed, n, k, side = world
    rng = np.random.default_rng(seed)
    # a coarse grid makes co-located photos, and pairs exactly at 10 and 25 m
    db, q = (rng.integers(0, side // 5, (m, 2)) * 5.0 for m in (n, k))
    pick = np.array([1, 2, 3, None])
    d_days, q_days = rng.choice(pick, n), rng.choice(pick, k)
    descriptors, asked = rng.normal(size=(n, 3)), rng.normal(size=(k, 3))
    expected = [brute_force(db, q[i], d_days, q_days[i], rule) for i in range(k)]
    usable = [i for i, (p, m) in enumerate(expected) if p and m]
    mining = Mining(rule, sample=sample, hard=8, negatives=3, cached_negatives=2)
    if not usable:
        with pytest.raises(PlacesError):
            Tuples(table(db, d_days), table(q, q_days), mining)
        return
    tuples = Tuples(table(db, d_days), table(q, q_days), mining, margin=0.5, seed=seed)
    assert tuples.usable.tolist() == usable
    remembered = {i: [] for i in usable}
    for epoch in (1, 2):
        assert sorted(tuples.order(epoch)) == usable
        for i in usable:
            positives, negatives = expected[i]
            assert sorted(tuples.positives(i)) == positives
            drawn = tuples.random_negatives(i, epoch)
            assert len(set(drawn)) == len(drawn) == min(sample, len(negatives))
            assert set(drawn) <= set(negatives)
            d2 = distances_of(descriptors, asked[i])(np.arange(n))
            hard = sorted({*drawn, *remembered[i]}, key=lambda r: (d2[r], r))[:8]
            remembered[i] = hard[:2]
            best = min(positives, key=lambda r: d2[r])
            violating = [r for r in hard if d2[r] < d2[best] + np.float32(0.5)][:3]
            found = tuples.mine(i, epoch, distances_of(descriptors, asked[i]))
            if not violating:
                assert found is None
            else:
                assert (found.query, found.positive, found.negatives.tolist()) == (i, best, violating)


def test_the_papers_numbers():
    mining = Mining()
    assert (mining.positive_radius, mining.apart, mining.negative_radius) == (10, 1, 25)
    assert (mining.sample, mining.cached_negatives, mining.hard, mining.negatives) == (1000, 10, 100, 10)


def test_a_thousand_are_drawn_alike_and_never_from_the_neighbourhood():
    rng = np.random.default_rng(0)
    db = np.concatenate([rng.uniform(-15, 15, (400, 2)), rng.uniform(100, 900, (3000, 2))])
    tuples = Tuples(table(db), table([[0.0, 0.0]]), Mining(sample=1000))
    counts = np.zeros(len(db), int)
    for epoch in range(60):
        drawn = tuples.random_negatives(0, epoch)
        assert len(np.unique(drawn)) == 1000
        counts[drawn] += 1
    assert not counts[:400].any()
    # 60 draws of 1000 of 3000: 20 each, standard deviation 3.65
    assert abs(counts[400:].mean() - 20) < 1e-9
    assert counts[400:].std() == pytest.approx(3.65, abs=0.3)


def test_seeded():
    rng = np.random.default_rng(1)
    db, q = rng.uniform(0, 300, (300, 2)), rng.uniform(0, 300, (60, 2))

    def draws(seed, epoch=1):
        tuples = Tuples(table(db), table(q), Mining(sample=20), seed=seed)
        return tuples.order(epoch).tolist(), tuples.random_negatives(int(tuples.usable[0]), epoch).tolist()

    assert draws(0) == draws(0)
    for other in (draws(1), draws(0, epoch=2)):
        assert draws(0)[0] != other[0]
        assert draws(0)[1] != other[1]
    # the draw of a query does not depend on which queries came before it
    tuples = Tuples(table(db), table(q), Mining(sample=20))
    first, second = tuples.usable[:2]
    tuples.random_negatives(int(second), 1)
    assert tuples.random_negatives(int(first), 1).tolist() == draws(0)[1]


def test_hard_negatives_are_remembered_and_join_the_next_draw():
    db = [[5.0, 0.0]] + [[1000.0 + 30 * i, 0.0] for i in range(200)]
    descriptors = np.zeros((201, 1))
    descriptors[1:, 0] = np.arange(1, 201) / 100
    tuples = Tuples(table(db), table([[0.0, 0.0]]), Mining(sample=20, cached_negatives=3, negatives=5), margin=4.0)
    seen: set[int] = set()
    for epoch in range(1, 6):
        drawn = set(tuples.random_negatives(0, epoch).tolist())
        hardest = sorted(seen)[:3]
        found = tuples.mine(0, epoch, distances_of(descriptors, np.zeros(1)))
        assert found.negatives.tolist() == sorted(drawn | set(hardest))[:5]
        seen |= drawn


def test_unreadable_photos_are_left_out():
    db = [[5.0, 0.0], [6.0, 0.0]] + [[100.0 + i, 0.0] for i in range(4)]
    tuples = Tuples(table(db), table([[0.0, 0.0], [1.0, 0.0]]), Mining(), margin=9.0)
    nan = np.float32("nan")

    def mined(*values):
        return tuples.mine(0, 1, lambda rows: np.array(values, np.float32)[rows])

    assert mined(nan, 0.5, 1.0, nan, 2.0, 0.7).negatives.tolist() == [5, 2, 4]
    assert mined(nan, 0.5, 1.0, nan, 2.0, 0.7).positive == 1
    assert mined(nan, nan, 1.0, 1.0, 1.0, 1.0) is None
    assert mined(0.1, 0.2, nan, nan, nan, nan) is None
    assert mined(0.1, 0.2, nan, nan, nan, nan) is None  # and none of them is remembered as row -1


def test_photos_of_unknown_date():
    db, q = [[5.0, 0.0], [6.0, 0.0], [7.0, 0.0], [500.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]
    args = table(db, [1, 2, None, 1]), table(q, [1, None])
    assert Tuples(*args, Mining("other-date")).usable.tolist() == [0]
    assert Tuples(*args, Mining("other-date")).positives(0).tolist() == [1]
    assert Tuples(*args, Mining("same-date")).usable.tolist() == [0]
    assert Tuples(*args, Mining("same-date")).positives(0).tolist() == [0]
    assert Tuples(*args, Mining("any")).usable.tolist() == [0, 1]


def test_dates_are_those_of_the_place():
    # 23:30 UTC on the 1st is the 2nd in Tokyo, and the 1st still in Pittsburgh
    def at(lat, lon, times):
        return Places.build(path=names(len(times)), lat=lat, lon=lon, time=times)

    for lon, usable in ((139.7, True), (-80.0, False)):
        database = at([35.0, 35.0005], [lon, lon], ["2025-05-01T15:00:00Z", "2025-05-01T15:00:00Z"])
        query = at([35.00005], [lon], ["2025-05-01T02:00:00Z" if lon > 0 else "2025-05-01T23:30:00Z"])
        if usable:  # 15:00 UTC is past midnight in Tokyo: the 2nd; 02:00 UTC is the 1st
            assert Tuples(database, query, Mining("other-date")).usable.tolist() == [0]
        else:
            with pytest.raises(PlacesError, match="of another date"):
                Tuples(database, query, Mining("other-date"))


@pytest.mark.parametrize(
    ("db", "days", "rule", "message"),
    [
        ([[11.0, 0.0], [400.0, 0.0]], [1, 1], "any", "none of the 1 queries .*no database photo lies within 10 m"),
        ([[0.0, 0.0], [0.5, 0.0]], [1, 1], "any", "1 have database photos within 10 m, but all of those within 1 m"),
        ([[5.0, 0.0], [400.0, 0.0]], [1, 1], "other-date", "1 have .* none that is of another date"),
        ([[5.0, 0.0], [400.0, 0.0]], [2, None], "same-date", "1 have .* none that is of the same date"),
        ([[5.0, 0.0], [25.0, 0.0]], [1, 1], "any", "no query has a definite negative: .* within 25 m"),
        (np.empty((0, 2)), [], "any", "nothing to train on: 0 database photos and 1 queries"),
    ],
)
def test_nothing_to_train_on_says_why(db, days, rule, message):
    with pytest.raises(PlacesError, match=message):
        Tuples(table(db, days), table([[0.0, 0.0]], [1]), Mining(rule))


def test_co_located_photos_can_be_allowed():
    db, q = table([[0.0, 0.0], [100.0, 0.0]]), table([[0.0, 0.0]])
    assert Tuples(db, q, Mining(apart=None)).positives(0).tolist() == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positives": "newest"}, "positives 'newest' does not exist; choose one of any, other-date, same-date"),
        ({"positive_radius": 30.0}, "apart < positive_radius <= negative_radius is wanted"),
        ({"apart": 10.0}, "apart < positive_radius"),
        ({"negatives": 0}, "negatives 0: a number from 1 up"),
        ({"confirmed": "pairs.csv"}, "confirmed pairs go with positives verified, not 'any'"),
    ],
)
def test_rules_that_make_no_sense(options, message):
    with pytest.raises(NetvladError, match=message):
        Mining(**options)


def test_a_photo_is_no_positive_of_itself():
    both = table([[0.0, 0.0], [5.0, 0.0], [5.0, 0.0], [500.0, 0.0]])
    tuples = Tuples(both, both, Mining(apart=None))
    assert [tuples.positives(i).tolist() for i in range(3)] == [[1, 2], [2, 0], [1, 0]]
    assert tuples.usable.tolist() == [0, 1, 2]
    with pytest.raises(PlacesError, match="another photo than itself"):
        Tuples(both[[0, 3]], both[[0, 3]], Mining(apart=None))


def test_a_block_shares_its_draw_and_says_what_it_needs():
    rng = np.random.default_rng(0)
    db, q = rng.uniform(0, 400, (400, 2)), rng.uniform(0, 400, (30, 2))
    tuples = Tuples(table(db), table(q), Mining(sample=20, cached_negatives=3), margin=9.0)
    queries = tuples.usable
    descriptors = rng.normal(size=(400, 2))
    for epoch in (1, 2):
        needed = tuples.needed(queries, epoch, block=0)
        assert len(needed) < 20 + 10 + 30 * 5
        draws = [set(tuples.random_negatives(int(i), epoch, 0).tolist()) for i in queries]
        assert len(set.union(*draws)) <= 30
        assert draws[0] != set(tuples.random_negatives(int(queries[0]), epoch, 1).tolist())
        for i in queries.tolist():
            asked: list[int] = []

            def distances(rows, i=i, asked=asked):
                asked += rows.tolist()
                return distances_of(descriptors, np.zeros(2))(rows)

            tuples.mine(i, epoch, distances, block=0)
            assert set(asked) <= set(needed.tolist())
            near = np.linalg.norm(db - q[i], axis=1) <= 25
            assert not near[tuples.random_negatives(i, epoch, 0)].any()


def test_verified_positives(tmp_path):
    db, q = table([[5.0, 0.0], [6.0, 0.0], [500.0, 0.0]]), table([[0.0, 0.0], [0.0, 1.0]])
    file = tmp_path / "pairs.csv"
    far = (q.path[0], db.path[2])  # confirmed, but out of reach: positions have the last word
    lines = [f"{a},{b}" for a, b in [(q.path[0], db.path[1]), far]]
    file.write_text("\n".join(["query,database", *lines]))
    tuples = Tuples(db, q, Mining("verified", confirmed=str(file)))
    assert tuples.usable.tolist() == [0]
    assert tuples.positives(0).tolist() == [1]
    file.write_text(f"query,database\n{q.path[0]},elsewhere.jpg\n")
    with pytest.raises(PlacesError, match=r"confirmed by .*pairs\.csv"):
        Tuples(db, q, Mining("verified", confirmed=str(file)))


def test_labels_make_tuples_where_positions_are_missing():
    # a street with positions, two webcams without
    street = table([[0, 0], [5, 0], [100, 0]])
    cameras = Places.build(path=names(4), place=["x", "x", "y", "y"])
    places = Places.concat([street, cameras])
    tuples = Tuples(places, places, Mining(sample=100))
    assert tuples.usable.tolist() == [0, 1, 3, 4, 5, 6]  # the photo at 100 m has no other near it
    assert [tuples.positives(q).tolist() for q in tuples.usable] == [[1], [0], [4], [3], [6], [5]]
    elsewhere = [sorted(tuples.random_negatives(q, 1).tolist()) for q in tuples.usable]
    assert elsewhere[0] == [2, 3, 4, 5, 6]
    assert elsewhere[2] == [0, 1, 2, 5, 6]
    assert elsewhere[5] == [0, 1, 2, 3, 4]
    with pytest.raises(PlacesError, match="no query has a definite negative"):
        Tuples(cameras[:2], cameras[:2])
