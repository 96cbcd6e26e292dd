from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.experiments.ranker_factory import Methods, is_distinct, short_labels
from netvlad.places import Neighbours

ALONE = Neighbours(np.arange(9), np.arange(8), np.zeros(8))


@pytest.fixture
def database(town):
    return sorted(map(str, town.glob("*.jpg")))


def test_what_is_near_is_asked_for_once(weights, database, tmp_path):
    asked = []

    def near():
        asked.append(1)
        return ALONE

    names = ["test_resnet-max-distinct", "test_resnet-avg-distinct", "vocabtree-4x1-distinct", "test_resnet-max"]
    methods = Methods(names, {}, near=near, folder=tmp_path, workers=0)
    for make in methods.makers(database).values():
        make().rank(database[:1], 3)
    assert asked == [1]
    assert methods.kept == []
    assert methods.known["test_resnet-max-distinct"] is None  # no published row speaks of it
    assert methods.known["test_resnet-max"] is not None


def test_answers_depend_on_what_is_near(weights, database, tmp_path):
    """Cached rankings count for the same neighbours, and not for others."""
    pairs = Neighbours(np.arange(0, 17, 2), np.array([[i, i ^ 1] for i in range(8)]).ravel(), np.zeros(16))
    for near, kept in ((ALONE, False), (ALONE, True), (pairs, False)):
        for name in ("test_resnet-max-distinct", "vocabtree-4x1-distinct"):
            methods = Methods([name], {}, near=lambda near=near: near, folder=tmp_path, workers=0)
            methods.makers(database)[name]().rank(database[:2], 3)
            assert methods.kept == ([name] if kept else [])


def test_wrong_ways_to_be_distinct(weights, database):
    for name in ("test_resnet-max-distinct", "vocabtree-distinct"):
        with pytest.raises(NetvladError, match=f"{name} learns from photos of other places, and nothing tells here"):
            Methods([name], {}).makers(database)[name]()
    makers = Methods(["test_resnet-max-distinct"], {}, dims=[8], near=lambda: ALONE).makers(database)
    with pytest.raises(NetvladError, match="worked out in all dimensions: give --dims without -distinct"):
        makers["test_resnet-max-distinct, 8-D"]()


def test_a_folder_may_be_called_distinct(tmp_path):
    folder = tmp_path / "mine-distinct"
    assert is_distinct(str(folder))
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    assert not is_distinct(str(folder))
    assert is_distinct(f"{folder}-distinct")
    assert short_labels([str(folder), f"{folder}-distinct"]) == {
        "mine-distinct": str(folder),
        f"{folder}-distinct": f"{folder}-distinct",
    }
