from __future__ import annotations

import numpy as np

from netvlad.training.config import Config
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.trainer import Trainer


def test_a_photo_has_one_row():
    rows = PhotoRows()
    assert rows.add(["a", "b", "a", "c"]).tolist() == [0, 1, 2, 3]  # named twice in one table: two rows
    assert rows.add(["c", "d", "a", "a"]).tolist() == [3, 4, 0, 5]
    assert rows.add([]).tolist() == []
    assert rows.paths == ["a", "b", "a", "c", "d", "a"]
    assert len(rows) == 6


def test_photos_that_are_query_and_database_are_kept_once(network, street):
    database, _ = street(4)
    training = Trainer(network("max"), database, database, Config(), (database, database))
    assert len(training.network.paths) == 8
    assert training.objective.database_rows.tolist() == training.objective.row_of.tolist() == list(range(8))
    assert training.validation.database_rows.tolist() == list(range(8))
    assert np.isin(training.validation.query_rows, range(8)).all()
