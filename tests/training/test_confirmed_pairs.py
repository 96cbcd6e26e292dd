from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places, PlaceTree
from netvlad.training import verified
from netvlad.training.confirmed_pairs import confirmed


@pytest.fixture
def tables(tmp_path):
    database = Places.build(path=[str(tmp_path / f"d{i}.jpg") for i in range(4)], easting=[0.0, 1, 2, 50], northing=0.0)
    queries = Places.build(path=[str(tmp_path / f"q{i}.jpg") for i in range(2)], easting=[0.0, 50], northing=0.0)
    return database, queries, PlaceTree(database).radius_neighbors(queries, 25)


def pairs(near, mask) -> list[tuple[int, int]]:
    own = np.repeat(np.arange(len(near)), np.diff(near.offsets))
    return list(zip(own[mask].tolist(), near.ids[mask].tolist(), strict=True))


def test_a_table_of_paths(tables, tmp_path):
    database, queries, near = tables
    file = tmp_path / "pairs.csv"
    file.write_text(f"database,query,by\nd1.jpg,q0.jpg,me\nd0.jpg,{tmp_path}/q0.jpg,me\nd3.jpg,q0.jpg,me\n")
    every = np.ones(len(near.ids), bool)
    assert sorted(pairs(near, confirmed(database, queries, near, every, str(file)))) == [(0, 0), (0, 1)]
    possible = near.ids != 0
    assert pairs(near, confirmed(database, queries, near, possible, str(file))) == [(0, 1)]


@pytest.mark.parametrize("text", [None, "", "query,database\n", "a,b\n1,2\n", "\x80"])
def test_tables_that_are_none(tables, tmp_path, text):
    file = tmp_path / "pairs.csv"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with pytest.raises(PlacesError, match=r"pairs\.csv: (cannot be read|lists no confirmed pairs)"):
        confirmed(*tables, np.ones(len(tables[2].ids), bool), str(file))


def test_found_by_local_features(tables, tmp_path, monkeypatch):
    database, queries, near = tables
    asked = {}

    def found(database, queries, wanted, *, file):
        asked["file"], asked["pairs"] = file, [(q, d) for q, rows in wanted for d in rows]
        query, rows = map(np.array, zip(*asked["pairs"], strict=True))
        return verified.VerifiedPairs(query, rows, np.where(rows == 1, 30, 3), 12, {}, {})

    monkeypatch.setattr(verified, "verified_pairs", found)
    possible = near.ids != 2
    assert pairs(near, confirmed(database, queries, near, possible, "pairs.parquet")) == [(0, 1)]
    assert asked == {"file": "pairs.parquet", "pairs": [(0, 0), (0, 1), (1, 3)]}
