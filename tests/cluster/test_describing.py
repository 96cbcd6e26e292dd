"""Describing on a cluster of Ray: the same map as on one machine, whatever happens to the workers."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import netvlad as nv
from netvlad.cluster.describing import STRETCH, Cluster, connected, describe_on, stretches
from netvlad.describe.stream import Contents, describe_all, describe_photos
from netvlad.errors import NetvladError
from netvlad.maps import adding
from netvlad.maps.index import PlaceIndex

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]  # one cluster for all

N = STRETCH + 60  # photos: two stretches


@pytest.fixture
def new_map(weights, tmp_path):
    def make(name: str) -> PlaceIndex:
        return PlaceIndex.create(tmp_path / name, nv.load("test_resnet-max"))

    return make


@pytest.fixture
def places(street):
    """Photos, of which one is broken and one has the content of another in the stretch before."""
    made = street(N)
    Path(made.path[5]).write_bytes(b"no photo")
    shutil.copy(made.path[3], made.path[STRETCH + 2])
    return made


def on(cluster: Cluster):
    """What describes on a cluster, whose workers decode by themselves."""
    return partial(describe_on, cluster, workers=0)


def content(index: PlaceIndex) -> tuple:
    held = index.store.held(["path", "digest", "lat", "lon"]).drop_columns(["_rowid"]).to_pylist()
    return held, np.concatenate(list(index.store.vectors())).tobytes()


def test_a_cluster_makes_the_map_of_one_machine(ray, new_map, places):
    one, many = new_map("one.vpr"), new_map("many.vpr")
    plain = one.sync(places, workers=0)
    found = many.sync(places, workers=0, describing=on(Cluster(ray.get_runtime_context().gcs_address)))
    assert (found.new, found.duplicates, found.unreadable) == (plain.new, plain.duplicates, plain.unreadable)
    assert list(found.unreadable) == [places.path[5]]
    assert len(found.new) == N - 2
    assert content(many) == content(one)


def test_it_goes_on_where_it_was_stopped(ray, new_map, places, monkeypatch):
    one, many = new_map("one.vpr"), new_map("many.vpr")
    one.sync(places, workers=0)
    real, seen = adding.progress, []

    @contextmanager
    def stopping(what, total):
        with real(what, total) as advance:

            def stop(n):
                advance(n)
                seen.append(total)
                if len(seen) == 2:
                    raise KeyboardInterrupt

            yield stop

    monkeypatch.setattr(adding, "progress", stopping)
    with pytest.raises(KeyboardInterrupt):
        many.sync(places, workers=0, describing=on(Cluster(workers=1)))
    assert len(many) == 63  # two chunks without the broken photo
    many.sync(places, workers=0, describing=on(Cluster(workers=1)))
    assert seen[-1] == N - 63  # the copy is known by its content as soon as it is read
    assert content(many) == content(one)


def test_a_killed_worker_changes_nothing(ray, new_map, places, monkeypatch):
    model, pools = new_map("one.vpr"), []
    model.sync(places[:1], workers=0)
    from ray.util import ActorPool

    class Pool(ActorPool):
        def __init__(self, actors):
            super().__init__(actors)
            pools.append(actors)

    monkeypatch.setattr("ray.util.ActorPool", Pool)
    rows = list(range(N))

    def described(kill: bool) -> list:
        found = []
        cluster, known = Cluster(workers=1), Contents()
        for chunk in describe_on(cluster, model.folder / "model", list(places.path), rows, known=known, workers=0):
            if kill and not found:
                ray.kill(pools[-1][0], no_restart=False)  # the second stretch is under way
            found.append((chunk.rows, chunk.digests, chunk.unreadable, chunk.known, chunk.vectors.tobytes()))
        return found

    undisturbed = described(kill=False)
    assert described(kill=True) == undisturbed
    assert sum(len(rows) for rows, *_ in undisturbed) == N - 2


def test_an_evaluation_describes_every_photo(ray, new_map, places):
    model = new_map("one.vpr").model
    here = describe_all(model, list(places.path), workers=0)
    there = partial(describe_on, Cluster(workers=1), workers=0)
    vectors, unreadable = describe_all(model, list(places.path), describing=there)
    assert (list(unreadable), list(here[1])) == ([5], [5])
    np.testing.assert_array_equal(vectors, here[0])
    assert np.array_equal(vectors[3], vectors[STRETCH + 2])  # of equal content


def test_the_command_evaluates_on_a_cluster(netvlad, town, monkeypatch):
    asked = []

    def stand_in(cluster, model, paths, rows, **how):
        asked.append((cluster, how["known"], len(rows)))
        return describe_photos(nv.load(model), paths, rows=rows, workers=0)

    monkeypatch.setattr("netvlad.cluster.describing.workers_told", lambda cluster: "none")
    monkeypatch.setattr("netvlad.cluster.describing.describe_on", stand_in)
    table = town / "places.csv"
    given = ["evaluate", "--database", table, "--queries", table, "--model", "test_resnet-max", "--workers", "0"]
    plain, ran = netvlad(*given), netvlad(*given, "--ray", "10.0.0.1:6379", "--num-gpus", "1")
    assert ran.code == 0, ran.err
    recalls = [re.search(r"test_resnet-max( +[\d.]+)+", out)[0] for out in (ran.out, plain.out)]
    assert recalls[0].split() == recalls[1].split()
    assert asked == [(Cluster("10.0.0.1:6379", gpus=1), None, 8)] * 2


def test_errors_of_the_model_come_through(ray, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text("{}")
    with pytest.raises(NetvladError):
        list(describe_on(Cluster(workers=1), tmp_path / "model", ["a.jpg"], [0], workers=0))


def test_stretches_are_cut_at_the_same_places_whatever_is_left_out():
    paths = [str(i) for i in range(2 * STRETCH + 5)]
    found = stretches(paths, [2 * STRETCH + 1, 3, STRETCH - 1])
    assert [(first, rows) for first, _, rows in found] == [(0, [3, STRETCH - 1]), (2 * STRETCH, [1])]
    assert [len(within) for _, within, _ in found] == [STRETCH, 5]


def test_ray_that_is_absent_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NetvladError, match=r"netvlad\[cluster\]"):
        connected("auto")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_that_does_not_answer_is_named(monkeypatch, scheme):
    ray = pytest.importorskip("ray", reason="needs the extra cluster")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"{scheme}127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(NetvladError, match=address):
        connected(address)


@pytest.mark.parametrize("command", ["index", "evaluate"])
def test_options_of_a_cluster_need_one(refused, town, tmp_path, command):
    given = {"index": [town, "--out", tmp_path / "a.vpr"], "evaluate": ["--database", town, "--queries", town]}
    assert "--ray" in refused(command, *given[command], "--ray-workers", "2")
