from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.training import Config, Mining, train
from netvlad.training.run import database_and_queries


def named(split) -> Places:
    return Places.build(path=[f"{i}.jpg" for i in range(len(split))], easting=0.0, northing=0.0, split=split)


def test_the_split_column_decides():
    database, queries = database_and_queries(named(["database", "Query", "db", "queries", "", "train"]))
    assert (database.split.tolist(), queries.split.tolist()) == (["database", "db"], ["Query", "queries"])
    for split in (["", "", ""], ["train", "train"]):
        both = database_and_queries(named(split))
        assert both[0] is both[1]
        assert len(both[0]) == len(split)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (["database", "", "db"], "names database photos but none that is query"),
        (["q", "q"], "names query photos but none that is database"),
        (["database"], "1 photos: there is nothing to compare"),
        ([], "0 photos"),
    ],
)
def test_tables_that_do_not_do(split, message):
    with pytest.raises(PlacesError, match=message):
        database_and_queries(named(split))


def test_one_table_is_as_two(network, street):
    database, queries = street(5)
    settings = Config(epochs=2, lr=0.05, margin=0.3)
    columns = {name: np.concatenate([getattr(t, name) for t in (database, queries)]) for name in ("path", "easting")}
    table = Places.build(**columns, northing=0.0, split=["database"] * 10 + ["query"] * 5)
    found = []
    for go in (
        lambda model: train(model, (database, queries), settings, validation=(database, queries)).record,
        lambda model: train(model, table, settings, validation=table).record,
    ):
        record = go(network("max"))
        found.append([(e.loss, e.violating, e.recall) for e in record.epochs])
    assert found[0] == found[1]


def test_every_photo_is_query_and_database_but_never_its_own_positive(network, street):
    database, queries = street(5)
    table = Places.concat([database, queries])
    seen = []
    from netvlad.training.tuples import Tuples

    mine = Tuples.mine

    def watched(self, query, *arguments):
        found = mine(self, query, *arguments)
        seen.append((query, found and found.positive))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuples, "mine", watched)
        record = train(network("max"), table, Config(epochs=1, margin=2.0, mining=Mining(apart=None))).record
    assert record.queries == 15
    assert len(seen) == 15
    assert all(positive is not None and query != positive for query, positive in seen)
