from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places, distance, radius_neighbors, read_places
from netvlad.places.neighbours import is_within
from netvlad.places.place_matches import is_place_match, place_matches


def table(at, label) -> Places:
    """Photos at metres `at`, NaN unknown, with labels."""
    at = np.asarray(at, float)
    return Places.build(path=[f"{i}.jpg" for i in range(len(at))], easting=at, northing=0 * at, place=label)


def by_hand(a: Places, b: Places, i: int, j: int, radius: float) -> bool:
    if a.located[i] and b.located[j]:
        return abs(a.easting[i] - b.easting[j]) <= radius
    return a.place[i] == b.place[j] != ""


@pytest.mark.parametrize("seed", range(20))
def test_against_pairs_one_by_one(seed):
    rng = np.random.default_rng(seed)

    def draw(n: int) -> Places:
        at = np.where(rng.random(n) < 0.5, rng.integers(0, 12, n) * 5.0, np.nan)
        label = np.where(np.isnan(at), rng.choice(["x", "y"], n), rng.choice(["", "x", "z"], n))
        return table(at, label.astype(object))

    database, queries = draw(int(rng.integers(1, 30))), draw(int(rng.integers(1, 10)))
    near = place_matches(queries, database, 10)
    every = np.tile(np.arange(-1, len(database)), (len(queries), 1))
    found = is_place_match(queries, database, every, 10)
    geometric = is_within(queries, database, every, 10)
    for i in range(len(queries)):
        ids, metres = near.of(i)
        expected = [j for j in range(len(database)) if by_hand(queries, database, i, j, 10)]
        assert sorted(ids.tolist()) == expected
        assert (np.flatnonzero(found[i]) - 1).tolist() == expected
        both = queries.located[i] & database.located[ids]
        assert np.isfinite(metres).tolist() == both.tolist()
        assert metres.tolist()[: both.sum()] == sorted(metres[both].tolist())  # and those without follow
        assert set(np.flatnonzero(geometric[i]) - 1) == set(ids[both].tolist())
        assert radius_neighbors(queries, database, 10).of(i)[0].tolist() == ids[both].tolist()


def test_positions_outweigh_labels_and_a_label_alone_is_elsewhere():
    database = table([0, 500, np.nan], ["x", "x", "y"])
    queries = table([1, np.nan, np.nan], ["y", "x", "z"])
    assert [place_matches(queries, database, 10).of(i)[0].tolist() for i in range(3)] == [[0, 2], [0, 1], []]
    assert np.isnan(distance(queries, database)).tolist() == [False, True, True]


def test_tables_of_labels_go_with_any_frame():
    labels, planar = table([np.nan], ["x"]), table([0], ["x"])
    degrees = Places.build(path=["a"], lat=[1], lon=[2], place=["x"])
    for other in (planar, degrees, labels):
        assert place_matches(labels, other, 10).ids.tolist() == place_matches(other, labels, 10).ids.tolist() == [0]
    with pytest.raises(PlacesError, match="no distance runs between them"):
        place_matches(planar, degrees, 10)
    empty = labels[[]]
    assert len(place_matches(empty, labels, 10)) == 0
    assert place_matches(labels, empty, 10).offsets.tolist() == [0, 0]
    assert is_place_match(labels, empty, np.array([[-1]]), 10).tolist() == [[False]]


@pytest.mark.parametrize(("name", "photos", "labels"), [("webcams", 1266, 12), ("tower", 2877, 25)])
def test_real_tables_without_positions(campus, name, photos, labels):
    places = read_places(campus.parent / name / "places.csv", strict=True)
    assert (len(places), len(set(places.place))) == (photos, labels)
    assert not places.located.any()
    assert not places.skipped
