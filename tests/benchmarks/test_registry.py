from __future__ import annotations

import subprocess
import sys

import pytest

from netvlad.benchmarks import benchmark, family, list_benchmarks
from netvlad.errors import PlacesError


def test_names():
    known = list_benchmarks()
    assert len(set(known)) == len(known)
    assert {"pitts30k-test", "tokyo247", "tokyo-tm-val", "msls-val", "nordland-summer-winter", "oxford5k"} <= {*known}
    assert [benchmark(name).name for name in known] == known


def test_parts_of_a_benchmark():
    assert [one.name for one in family("pitts30k")] == ["pitts30k-train", "pitts30k-val", "pitts30k-test"]
    assert [one.name for one in family("tokyo247")] == ["tokyo247"]
    assert [one.name for one in family("msls-val")] == ["msls-val"]  # a name of its own, though others begin so
    with pytest.raises(PlacesError, match=r"^pitts30k has several parts; choose one of pitts30k-train, pitts30k-val"):
        benchmark("pitts30k")
    for look in (benchmark, family):
        with pytest.raises(PlacesError, match=r"^no benchmark is called 'pits30k'; close: pitts30k-"):
            look("pits30k")
        with pytest.raises(PlacesError, match=r"^no benchmark is called 'zzz'; choose one of pitts250k-train, "):
            look("zzz")


@pytest.mark.usefixtures("gardens")
def test_benchmarks_of_other_packages():
    own = list_benchmarks()[:-4]
    assert list_benchmarks() == [*own, "garden", "park-train", "park-test", "worse"]
    assert {*own} == {one.name for one in map(benchmark, own)}
    assert benchmark("garden").title == benchmark("holidays").title
    assert [one.name for one in family("park")] == ["park-train", "park-test"]
    with pytest.raises(PlacesError, match=r"^benchmark 'worse' cannot be loaded from gardens_that_are_missing:one of"):
        benchmark("worse")


@pytest.mark.usefixtures("gardens")
def test_a_benchmark_of_another_package_needs_no_listing_first():
    assert benchmark("park-test").name == "park-test"  # the entry point that gives it is called parks


@pytest.mark.parametrize("name", list_benchmarks())
def test_facts_hold_together(name):
    one = benchmark(name)
    assert one.kind in ("recall", "map", "train")
    assert one.protocol.benchmark == name
    assert one.layout.startswith("ROOT/\n")
    assert "{" not in one.layout + one.how + one.title
    assert all((one.title, one.licence, one.source, one.how))
    among = ("oxford5k", "paris6k", "holidays", "tokyo-tm-val")  # queries are photos of the database
    if one.counted and one.kind != "train" and name not in among:
        assert one.images == one.database + one.queries
    for row in one.published:
        assert {*row.recalls} <= {"all", *one.conditions}
        assert all(0 < value <= 100 for values in row.recalls.values() for value in values)
        assert all(list(values) == sorted(values) for values in row.recalls.values())


def test_rules_of_the_paper():
    pitts, tokyo, machine = (benchmark(name) for name in ("pitts250k-test", "tokyo247", "tokyo-tm-val"))
    for one in (pitts, tokyo, machine):
        assert (one.protocol.radius, one.protocol.unmatched, one.kind) == (25.0, "keep", "recall")
        assert one.protocol.ns == (1, 2, 3, 4, 5, *range(10, 101, 5))
    protocols = [one.protocol for one in (pitts, tokyo, machine)]
    assert [one.best_per_panorama for one in protocols] == [False, True, False]
    assert [one.other_dates for one in protocols] == [False, False, True]
    assert tokyo.protocol.query_resize == "one by one, as is"
    splits = [benchmark(f"pitts250k-{split}") for split in ("train", "val", "test")]
    assert sum(one.database for one in splits) == 10_586 * 24  # panoramas, each in 24 cut-outs
    assert all(one.queries % 24 == 0 for one in splits)


def test_readers_need_no_heavy_library_before_they_read():
    script = "import sys, netvlad.benchmarks; print([m for m in ('scipy', 'h5py', 'torch') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
