from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.maps import calibrating as module
from netvlad.maps.calibrating import Part, ask, calibrate, sample_of
from netvlad.maps.confidence import ABSENT, DEEP, RIGHT, WRONG, Calibration, evidence
from netvlad.maps.ground import Ground, from_best, own_visits
from netvlad.places import Places

RADIUS = 25.0


def on_a_street(metres, time=None) -> Places:
    return Places.build(path=[f"/{i}.jpg" for i in range(len(metres))], easting=metres, northing=0.0, time=time)


class World:
    """Two streets a kilometre long: looks change over some 15 m and partly come again; some photos are better."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.waves = self.rng.normal(size=(2, 24)) / 18.0
        self.phases = self.rng.uniform(0, 2 * np.pi, (2, 24))

    def look(self, metres: np.ndarray, street: int = 0) -> np.ndarray:
        code = np.cos(metres[:, None] * self.waves[street] + self.phases[street])
        code[:, :8] = np.cos((metres[:, None] % 150) * self.waves[0, :8] + self.phases[0, :8])
        code += self.rng.normal(size=code.shape) * self.rng.uniform(0.1, 1.6, (len(code), 1))
        return (code / np.linalg.norm(code, axis=1, keepdims=True)).astype(np.float32)

    def visits(self, days: int, each: int, metres: np.ndarray | None = None) -> tuple[Places, np.ndarray]:
        """Places and vectors of so many walks along the first street, one a day."""
        if metres is None:
            metres = np.concatenate([np.sort(self.rng.uniform(0, 1000, each)) for _ in range(days)])
        day, second = np.divmod(np.arange(days * each), each)
        places = on_a_street(metres, np.datetime64("2025-01-01T10:00:00", "s") + 86400 * day + second)
        return places, self.look(metres)


class Exact:
    """Vectors and their search by brute force; `asked` counts searches."""

    def __init__(self, vectors: np.ndarray):
        self.held, self.asked = vectors, 0

    def vectors(self, rows):
        return self.held[rows]

    def search(self, vectors, k, among=None):
        self.asked += 1
        squared = ((self.held - vectors[:, None]) ** 2).sum(-1)
        if among is not None:
            squared[:, ~among] = np.inf
        ids = np.argsort(squared, axis=1, kind="stable")[:, :k]
        squared = np.take_along_axis(squared, ids, 1)
        return squared, np.where(np.isfinite(squared), ids, -1)


def predicted(learnt: Calibration, places: Places, vectors: np.ndarray, queries: np.ndarray):
    """(probabilities, easting of the best match) of each query."""
    squared, ids = Exact(vectors).search(queries, DEEP)
    seen = [evidence(d, from_best(places[row], RADIUS)) for d, row in zip(squared, ids, strict=True)]
    return learnt.probabilities(np.array(seen)), places.easting[ids[:, 0]]


# -- asking -------------------------------------------------------------------------------------------------------


def asked_by_loops(ground: Ground, vectors: np.ndarray, rows, visit, gaps):
    """`ask` by its description, one photo at a time: `[(features, outcome)]`. gaps (N, N): radii between photos."""
    out = []
    for row in rows:
        others = np.flatnonzero(visit != visit[row])
        for gone in (False, True):  # as it is; with everything near it taken out
            ids = others[gaps[row, others] > 2] if gone else others
            if not len(ids):
                continue
            squared = ((vectors[ids] - vectors[row]) ** 2).sum(1)
            order = np.argsort(squared, kind="stable")[:DEEP]
            there = not gone and (gaps[row, ids] <= 1).any()
            best = ids[order[0]]
            kind = ABSENT if not there else RIGHT if gaps[row, best] <= 1 else WRONG
            out.append((evidence(squared[order], gaps[best, ids[order]]), kind))
    return out


@pytest.mark.parametrize(("reach", "large"), [(256, 64), (55, 10), (55, 500), (120, 1)])
@pytest.mark.parametrize("labels", [False, True])
def test_asking_is_what_a_loop_does(monkeypatch, reach, large, labels):
    """However deep the first search reaches, and whether a visit is left out by it or after it."""
    places, vectors = World(5).visits(3, 40)
    if labels:
        places = Places.build(path=places.path, place=[f"{m // 60:.0f}" for m in places.easting], time=places.time)
        gaps = np.where(places.place[:, None] == places.place, 0, np.inf)
    else:
        gaps = np.linalg.norm(places.xyz[:, None] - places.xyz, axis=-1) / RADIUS
    ground = Ground.of(places, RADIUS)
    _, visit = next(own_visits(places))
    rows = np.arange(0, 120, 3)
    want = asked_by_loops(ground, vectors, rows, visit, gaps)
    for name, value in (("REACH", reach), ("LARGE", large), ("CHUNK", 40)):
        monkeypatch.setattr(module, name, value)
    features, outcomes, asked = ask(ground, Exact(vectors), rows, visit)
    assert asked == 40
    assert len(outcomes) == len(want)
    assert set(outcomes) == {RIGHT, WRONG, ABSENT}

    def ordered(found, kinds):  # visits are asked one after the other
        return np.array(sorted([*map(float, seen), kind] for seen, kind in zip(found, kinds, strict=True)))

    np.testing.assert_allclose(ordered(features, outcomes), ordered(*zip(*want, strict=True)), atol=2e-6)


def test_a_photo_alone_is_asked_nothing():
    ground = Ground(np.zeros((1, 3)), None, RADIUS)
    features, outcomes, asked = ask(ground, Exact(np.ones((1, 4), np.float32)), np.array([0]), np.array([0]))
    assert (len(features), len(outcomes), asked) == (0, 0, 1)


def test_a_large_map_is_asked_less():
    assert [len(sample_of(n, 0)) for n in (0, 30, 5_000, 20_000, 40_000, 1_000_000)] == [0, 30, 1000, 1000, 500, 200]
    rows = sample_of(1_000_000, 0)
    assert len(set(rows)) == 200
    assert rows.tolist() == sample_of(1_000_000, 0).tolist()


def test_asking_ends_in_time(monkeypatch):
    """A slow search: a first chunk is asked, and no other once the time is up."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    places, vectors = World(0).visits(3, 60)
    learnt, _ = calibrate(places, Exact(vectors), RADIUS)
    assert learnt.asked == module.CHUNK


def test_asking_takes_few_searches():
    """One for each visit of a chunk, and seldom another: its cost is bounded, whatever the size of the map."""
    places, vectors = World(0).visits(4, 100)
    searched = Exact(vectors)
    learnt, _ = calibrate(places, searched, RADIUS)
    assert learnt.asked == 400
    assert searched.asked <= 4 * 400 / module.CHUNK


def test_a_part_is_a_map_of_its_own():
    places, vectors = World(4).visits(3, 80)
    rows = np.sort(np.random.default_rng(0).permutation(240)[:150])
    part = Part(Exact(vectors), rows, 240)
    np.testing.assert_array_equal(part.vectors(np.array([3, 1])), vectors[rows[[3, 1]]])
    among = np.arange(150) % 2 == 0
    for mask in (None, among):
        got, want = part.search(vectors[:7], 160, mask), Exact(vectors[rows]).search(vectors[:7], 160, mask)
        np.testing.assert_array_equal(got[0][:, :150], want[0])
        np.testing.assert_array_equal(got[1][:, :150], want[1])
        assert (got[1][:, 150:] == -1).all()
    assert calibrate(places[rows], part, RADIUS) == calibrate(places[rows], Exact(vectors[rows]), RADIUS)


# -- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_on_fresh_photos_of_a_made_up_world(seed):
    world = World(seed)
    places, vectors = world.visits(4, 120)
    learnt, _ = calibrate(places, Exact(vectors), RADIUS)
    assert isinstance(learnt, Calibration)
    assert (learnt.how, learnt.asked) == ("leave-one-session-out", 480)
    metres = world.rng.uniform(0, 1000, 1200)
    elsewhere = world.look(world.rng.uniform(0, 1000, 300), street=1)
    probabilities, best = predicted(learnt, places, vectors, np.r_[world.look(metres), elsewhere])
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities >= 0).all()
    right = np.r_[np.abs(best[:1200] - metres) <= RADIUS, np.zeros(300, bool)]
    sure, absent = probabilities[:, RIGHT], probabilities[:, ABSENT]
    assert 0.5 < right[:1200].mean() < 0.9  # the world is neither trivial nor hopeless
    assert sure[right].mean() > sure[~right].mean() + 0.3
    assert absent[1200:].mean() > absent[:1200].mean() + 0.08
    bins = np.minimum((sure * 10).astype(int), 9)
    error = sum(abs((sure - right)[bins == b].sum()) for b in range(10)) / len(right)
    assert error < 0.1  # expected calibration error; 0.03 to 0.07 over seeds


def test_places_are_left_out_where_there_is_one_session():
    world = World(3)
    metres = np.repeat(np.arange(0, 1000, 10.0), 2)  # two photos at each standpoint
    learnt, _ = calibrate(on_a_street(metres), Exact(world.look(metres)), RADIUS)
    assert (learnt.how, learnt.asked) == ("leave-one-place-out", 200)


def test_only_some_photos_of_a_large_index_are_asked(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 150)
    places, vectors = World(0).visits(4, 100)
    assert calibrate(places, Exact(vectors), RADIUS)[0].asked == 150


def test_it_comes_back_from_json():
    places, vectors = World(1).visits(3, 60)
    learnt, _ = calibrate(places, Exact(vectors), RADIUS)
    assert Calibration(**json.loads(json.dumps(learnt.to_dict(), allow_nan=False))) == learnt


def test_too_few_photos():
    places, vectors = World(0).visits(1, 19)
    assert calibrate(places, Exact(vectors), RADIUS) == (None, "19 photos are too few to learn from (at least 20)")
    assert calibrate(places[:1], Exact(vectors[:1]), RADIUS) == (None, "1 photo is too few to learn from (at least 20)")


def test_labels_are_asked_for_labels():
    """Photos of cameras: an answer is right where it is of the same camera; positions of a few change nothing."""
    world = World(3)
    metres = np.repeat(np.arange(0, 900, 60.0), 12)
    labels = [f"camera {m:.0f}" for m in metres]
    places = Places.build(path=[f"/{i}.jpg" for i in range(180)], place=labels)
    vectors = world.look(metres)
    learnt, _ = calibrate(places, Exact(vectors), RADIUS)
    assert (learnt.how, learnt.asked, learnt.labels) == ("leave-one-photo-out", 180, True)
    some = np.where(np.arange(180) < 20, 5.0, np.nan)
    mixed = Places.build(path=places.path, place=["" if i < 9 else p for i, p in enumerate(labels)], easting=some,
                         northing=some)  # fmt: skip
    again, _ = calibrate(mixed, Exact(vectors), RADIUS)
    assert (again.asked, again.labels) == (171, True)
    asked = np.tile(np.arange(0, 900, 60.0), 20)
    squared, ids = Exact(vectors).search(world.look(asked), DEEP)
    seen = np.array([evidence(d, from_best(places[row], RADIUS)) for d, row in zip(squared, ids, strict=True)])
    sure, right = learnt.probabilities(seen)[:, RIGHT], metres[ids[:, 0]] == asked
    assert 0.3 < right.mean() < 0.95
    assert sure[right].mean() > sure[~right].mean() + 0.2
    assert abs(sure.mean() - 0.8 * right.mean()) < 0.15  # one in five is expected to be from elsewhere


def test_a_map_on_which_every_answer_is_right():
    metres = np.tile(np.arange(30) * 100.0, 2)
    day = np.repeat([0, 1], 30)
    places = on_a_street(metres, np.datetime64("2025-01-01", "s") + 86400 * day)
    learnt, _ = calibrate(places, Exact(np.tile(np.eye(30, dtype=np.float32), (2, 1))), RADIUS)
    assert learnt.how == "leave-one-session-out"
    # each is asked twice: found at distance 0, all else at 2; then without its place, all at 2
    apart = np.array([0] + [99] * 28)
    seen = [evidence(np.array([first] + [2.0] * 28), apart) for first in (0.0, 2.0)]
    found, gone = learnt.probabilities(np.array(seen))
    assert found[RIGHT] > 0.9
    assert gone[ABSENT] > 0.9
    assert max(found[WRONG], gone[WRONG]) < 0.1


def test_sessions_that_never_meet_are_asked_place_by_place():
    """Two walks a kilometre apart: without its session a photo has nothing near it, without its place it has."""
    metres = np.concatenate([np.arange(30) * 5.0, 1000 + np.arange(30) * 5.0])
    places = on_a_street(metres, np.datetime64("2025-01-01", "s") + 86400 * np.repeat([0, 1], 30))
    codes = np.exp(-(((metres[:, None] - np.linspace(0, 1150, 200)) / 15) ** 2)).astype(np.float32)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    learnt, _ = calibrate(places, Exact(codes), RADIUS)
    assert learnt.how == "leave-one-place-out"


def test_nothing_to_learn_from_a_single_place():
    places = on_a_street(np.zeros(40))
    learnt, reason = calibrate(places, Exact(np.ones((40, 4), np.float32)), RADIUS)
    assert learnt is None
    assert reason == (
        "of 40 photos asked, too few were answered right: 0 without their own place; at least 10 are needed"
    )


def test_two_visits_of_a_sparse_map():
    """Photos 30 m apart: with one visit left out no two matches agree, so support never changes; later it does."""
    world = World(0)
    metres = np.arange(100) * 30.0
    places, vectors = world.visits(2, 100, np.tile(metres, 2))
    learnt, _ = calibrate(places, Exact(vectors), RADIUS)
    asked = np.tile(metres, 5)
    probabilities, best = predicted(learnt, places, vectors, world.look(asked))
    right = np.abs(best - asked) <= RADIUS
    sure = probabilities[:, RIGHT]
    assert abs(sure.mean() - right.mean()) < 0.1
    assert ((sure > 0.001) & (sure < 0.999)).all()
