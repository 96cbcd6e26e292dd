from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import netvlad as package
from netvlad.benchmarks.protocol import Protocol
from netvlad.errors import NetvladError
from netvlad.experiments.ranker_factory import RankerOptions, build_rankers, is_distinct
from netvlad.experiments.run import labelled
from netvlad.experiments.tasks import Task, table_task
from netvlad.places import read_places
from netvlad.search.rerank import RerankOptions
from netvlad.types import Ranking

MODEL = "test_resnet-max"
OPTIONS = RankerOptions({}, workers=0)

pytestmark = pytest.mark.usefixtures("without_xfeat")


@pytest.fixture
def task(town) -> Task:
    places = read_places(town)
    return table_task(places, places, Protocol(radius=5.0))


def build(names, task, options=OPTIONS):
    return [built for name in names for built in build_rankers(name, name, task, options)]


def test_what_is_near_is_computed_once(weights, task, tmp_path, monkeypatch):
    from netvlad.experiments import tasks

    asked = []
    compute = tasks.place_matches
    monkeypatch.setattr(tasks, "place_matches", lambda *given: asked.append(1) or compute(*given))
    names = [f"{MODEL}-distinct", "test_resnet-avg-distinct", "vocabtree-4x1-distinct", MODEL]
    built = build(names, task, RankerOptions({}, workers=0, cache=tmp_path))
    for one in built:
        one.ranker.rank(task.database.path[:1], 3)
    assert asked == [1]
    assert not any(one.cached for one in built)
    assert [one.resize for one in built] == [640, 640, None, 640]


def test_cached_rankings_depend_on_what_is_near(weights, town, tmp_path):
    """They count for the same neighbours, and not for others."""
    places = read_places(town)
    for radius, cached in ((5.0, False), (5.0, True), (12.0, False)):
        for name in (f"{MODEL}-distinct", "vocabtree-4x1-distinct"):
            task = table_task(places, places, Protocol(radius=radius))
            (built,) = build([name], task, RankerOptions({}, workers=0, cache=tmp_path))
            built.ranker.rank(places.path[:2], 3)
            assert built.cached == cached


def test_wrong_use(weights, task):
    dims = RankerOptions({}, workers=0, dims=(8,))
    with pytest.raises(NetvladError, match="worked out in all dimensions: give --dims without -distinct"):
        build([f"{MODEL}-distinct"], task, dims)
    for name in (MODEL, "vocabtree"):
        with pytest.raises(NetvladError, match=f"{name} is not whitened"):
            build([name], task, dims)
    with pytest.raises(NetvladError, match="3 is neither a name, a folder, a describer nor a ranker"):
        list(build_rankers("m", 3, task, OPTIONS))


def test_a_folder_may_be_called_distinct(tmp_path):
    folder = tmp_path / "mine-distinct"
    assert is_distinct(str(folder))
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    assert not is_distinct(str(folder))
    assert is_distinct(f"{folder}-distinct")
    assert labelled([str(folder), f"{folder}-distinct"], short=True) == {
        "mine-distinct": str(folder),
        f"{folder}-distinct": f"{folder}-distinct",
    }


def test_describers_and_rankers_as_objects(weights, task):
    describer = package.load(MODEL)
    (by_object,), (by_name,) = build([describer], task), build([MODEL], task)
    asked = task.queries.path
    np.testing.assert_array_equal(by_object.ranker.rank(asked, 3).ids, by_name.ranker.rank(asked, 3).ids)

    class Backwards:
        name, dim = "backwards", None

        def rank(self, photos, k):
            ids = np.tile(np.arange(len(task.database))[::-1][:k], (len(photos), 1))
            return Ranking(ids, -np.arange(ids.size, dtype=np.float32).reshape(ids.shape))

    ranker = Backwards()
    (built,) = build_rankers("mine", ranker, task, OPTIONS)
    assert (built.label, built.ranker, built.cached) == ("mine", ranker, False)


def test_reranking_describes_queries_once(weights, task, monkeypatch):
    from netvlad.search.rankers import MemoryRanker

    stages = []
    describe = MemoryRanker.describe
    monkeypatch.setattr(MemoryRanker, "describe", lambda self, p, what: stages.append(what) or describe(self, p, what))
    options = RankerOptions({}, workers=0, rerank=RerankOptions(best=2))
    plain, verified = build([MODEL], task, options)
    assert (plain.label, verified.label) == (MODEL, f"{MODEL} + rerank")
    for built in (plain, verified):
        built.ranker.rank(task.queries.path, 5)
    assert stages == ["describe database", "describe queries"]


def test_a_ranker_is_let_go_of_before_the_next_is_built(weights, task):
    """As `run` goes through them, one database of vectors is in memory at a time."""
    alive = []
    for name in (MODEL, "test_resnet-avg"):
        for built in build_rankers(name, name, task, OPTIONS):
            gc.collect()
            assert [one for one in alive if one() is not None] == []
            alive.append(weakref.ref(built.ranker))
            del built
