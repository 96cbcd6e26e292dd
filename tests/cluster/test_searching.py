"""Searching on a cluster of Ray: the answers of one machine, also while replicas die."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import netvlad as nv
from netvlad.cluster.searching import Deployed, deployed, packed, unpacked
from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.shard import Shard
from netvlad.maps.sharded import open_shard_search, open_snapshot, shard_searches
from netvlad.maps.sharding import write_shards
from netvlad.maps.where import Where

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]  # one cluster for all

SHARDS = 2


@pytest.fixture(scope="module")
def shards(index, tmp_path_factory):
    """The town in shards."""
    out = tmp_path_factory.mktemp("shards") / "town.shards"
    write_shards(nv.PlaceIndex.open(index), out, SHARDS)
    return out


@pytest.fixture(scope="module")
def searches(ray, shards):
    """The searches of its shards, two replicas each."""
    pytest.importorskip("ray.serve", reason="needs ray[serve]")
    with deployed("auto", "town", shard_searches(shards), 2) as found:
        yield found


@pytest.fixture(scope="module")
def vectors(index):
    return next(nv.PlaceIndex.open(index).store.vectors())


def replicas(ray) -> list[str]:
    """Names of the actors that search."""
    named = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in named if "SERVE_REPLICA::town-shard" in actor["name"])


def test_the_service_answers_as_on_one_machine(searches, shards, index, town):
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    from fixtures.uploads import small
    from netvlad.serve.app import create_app
    from netvlad.serve.served_map import open_maps

    def told(maps) -> list:
        asked = [{}, {"near": "31.26,34.8,20m"}, {"bbox": "34,31,35,31.2604"}, {"near": "0,0,1km"}, {"after": "2030"}]
        files = [("photo", (f"{i}.jpg", (town / f"{i}.jpg").read_bytes())) for i in (2, 6)]
        with TestClient(create_app(maps, small()), base_url="http://127.0.0.1") as client:
            answers = [client.post("/v1/locate", files=files, params=params).json() for params in asked]
            facts = client.get("/v1/index").json()["maps"][0]
            id_ = answers[0]["answers"][0]["matches"][0]["id"]
            return [answers, {**facts, "version": 1}, client.get(f"/v1/photos/{id_}/thumbnail").content]

    there = open_maps([shards], elsewhere=lambda folder, name: searches)
    assert told(there) == told(open_maps([index]))


def test_replicas_that_are_killed_under_load_cost_no_answer(ray, searches, shards, vectors):
    one, many = open_snapshot(shards), open_snapshot(shards, searches=searches)
    south = Where(bbox=(34, 31, 35, 31.2605))
    wanted = [one.search(v[None], 8)[1].tolist() for v in vectors]
    regional = [[m.path for m in one.located(["q"], v[None], 8, south)[0]] for v in vectors]
    before, ended, wrong, asked = replicas(ray), threading.Event(), [], []
    assert len(before) == 2 * SHARDS

    def ask(number: int) -> None:
        while not ended.is_set() or len(asked) < 200:
            i = len(asked) % len(vectors)
            asked.append(i)
            if number % 2:
                ok = many.search(vectors[i][None], 8)[1].tolist() == wanted[i]
            else:
                ok = [m.path for m in many.located(["q"], vectors[i][None], 8, south)[0]] == regional[i]
            if not ok:
                wrong.append(i)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, number) for number in range(4)]
        try:
            for name in before[::2]:  # one of each shard
                time.sleep(0.2)
                ray.kill(ray.get_actor(name, namespace="serve"))
            time.sleep(0.5)
        finally:
            ended.set()
        for done in asking:
            done.result()
    assert len(asked) >= 200
    assert wrong == []


def test_errors_of_a_replica_come_through(searches):
    with pytest.raises(RuntimeError, match="ntotal"):
        searches[0]().vectors(np.array([10**6]))


def test_a_shard_that_cannot_be_opened_is_told(ray, searches, tmp_path):
    opened = partial(open_shard_search, tmp_path, Shard("shard-0.vpr", "", 1, 1, None))
    with pytest.raises(NetvladError, match="cannot be opened"), deployed("auto", "x", {"a": opened}, 1):
        pass


class Handle:
    """A deployment whose replicas raise `errors` in turn, and then answer."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def options(self, method_name: str) -> Handle:
        return self

    def remote(self, *given) -> Handle:
        return self

    def result(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_a_question_goes_to_another_replica_when_one_dies_but_not_for_ever():
    errors = pytest.importorskip("ray.exceptions", reason="needs the extra cluster")
    died = [errors.ActorDiedError() for _ in range(5)]
    assert Deployed(Handle(*died[:2])).vectors(np.arange(1)) == "answer"
    with pytest.raises(NetvladError, match="died"):
        Deployed(Handle(*died)).vectors(np.arange(1))
    damaged = PlaceIndexError("is damaged", path="search.vectors")
    with pytest.raises(PlaceIndexError, match="is damaged"):
        Deployed(Handle(errors.RayTaskError("search", "", damaged))).vectors(np.arange(1))


def test_a_mask_comes_back_as_it_was():
    mask = np.random.default_rng(0).random(77) < 0.5
    found = unpacked(packed(mask))
    np.testing.assert_array_equal(found, mask)
    assert not found.flags.writeable


def test_a_map_in_one_piece_is_not_deployed(index):
    with pytest.raises(PlaceIndexError, match="netvlad shard"):
        shard_searches(index)
