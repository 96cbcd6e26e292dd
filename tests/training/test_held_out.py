from __future__ import annotations

import numpy as np
import pytest

from netvlad.places import Places
from netvlad.training import Config
from netvlad.training.held_out import hold_out_end


def street(n: int = 200, step: float = 5.0, **columns) -> Places:
    """Photos along a street that runs north-east, `step` metres apart, in no order."""
    at = step * np.random.default_rng(0).permutation(n) / np.sqrt(2)
    return Places.build(path=[f"{i}.jpg" for i in range(n)], easting=at, northing=at + 7, **columns)


def test_one_end_is_held_out_and_nothing_near_it_is_trained_on():
    places = street()
    (database, queries), held, how = hold_out_end(places, places, Config(validation_radius=25))
    assert database is queries
    assert held is not None
    assert held[0] is held[1]
    assert len(held[1]) == 40
    assert len(queries) == 200 - 40 - 5  # 25 m at 5 m a photo
    gaps = np.linalg.norm(held[0].xyz[:, None] - database.xyz, axis=-1)
    assert gaps.min() > 25
    assert how.startswith("40 of 200 photos at one end")
    assert "5 next to them are left out" in how


def test_the_same_photos_are_held_out_each_time_and_whatever_the_frame():
    places = street()
    rows = [hold_out_end(places, places, Config()).validation[1].path.tolist() for _ in range(2)]
    assert rows[0] == rows[1]
    lat = 40 + places.northing / 111_000
    geodetic = Places.build(path=places.path, lat=lat, lon=30 + places.easting / 85_000)
    held = hold_out_end(geodetic, geodetic, Config()).validation
    assert held is not None
    assert len(held[1]) == 40


def test_database_and_queries_are_cut_by_one_line():
    database, queries = street(200), street(100, 10.0)
    rest, held, _ = hold_out_end(database, queries, Config())
    assert held is not None
    cut = min(held[1].easting)
    assert (held[0].easting > max(rest[1].easting)).all()
    assert (rest[0].easting < cut).all()


@pytest.mark.parametrize("places", [street(95), street(200, 0.0), street(200, 100.0)], ids=["few", "one spot", "apart"])
def test_where_too_few_could_be_validated_all_are_trained_on(places):
    training, held, how = hold_out_end(places, places, Config())
    assert held is None
    assert training[1] is places
    assert how.startswith("no part is held out")


def test_photos_known_by_label_alone_are_divided_by_label():
    labels = [f"place {i // 4}" for i in range(400)]
    places = Places.build(path=[f"{i}.jpg" for i in range(400)], place=labels)
    (_, queries), held, _ = hold_out_end(places, places, Config())
    assert held is not None
    ours, theirs = set(held[1].place), set(queries.place)
    assert not ours & theirs
    assert len(ours | theirs) == 100
    assert 10 <= len(ours) <= 30


def test_labels_stay_where_they_are_when_photos_are_added():
    labels = [f"place {i // 4}" for i in range(400)]
    kept = []
    for n in (300, 400):
        places = Places.build(path=[f"{i}.jpg" for i in range(n)], place=labels[:n])
        kept.append(set(hold_out_end(places, places, Config()).validation[1].place))
    assert kept[0] <= kept[1]
