from __future__ import annotations

import pytest

from netvlad.benchmarks import benchmark, names
from netvlad.evaluation.protocol_text import right, rules, runs
from netvlad.evaluation.protocols import groups_of, protocol_of
from netvlad.evaluation.result import Protocol


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 2, 3, 4, 5, *range(10, 101, 5)), "1, 2 .. 5, 10, 15 .. 100"),
        ((1, 5, 10), "1, 5, 10"),
        ((1, 2, 3), "1, 2, 3"),
        ((7,), "7"),
        ((1, 2, 3, 4, 10), "1, 2 .. 4, 10"),
    ],
)
def test_runs(numbers, words):
    assert runs(numbers) == words


def test_every_rule_is_said():
    said = rules(protocol_of(benchmark("tokyo247")))
    assert said == {
        "Benchmark": "tokyo247.",
        "A match is right": "within 25 m of the query's true position.",
        "Cut-outs of one panorama": "only the best of them counts among the N best matches.",
        "Queries without any true match": "stay in the denominator.",
        "N": "1, 2 .. 5, 10, 15 .. 100.",
        "Queries are described": "one by one, as is.",
    }
    said = rules(protocol_of(benchmark("msls-val-40deg")))
    assert said["A match is right"].endswith("its heading at most 40 degrees off.")
    assert said["Queries without any true match"] == "are left out of the denominator."
    said = rules(protocol_of(benchmark("nordland-summer-winter")))
    assert said["A match is right"] == "when the benchmark lists it, at most 10 frames off."
    assert "query's own date" in "".join(rules(protocol_of(benchmark("tokyo-tm-val"))))
    assert "Benchmark" not in rules(Protocol())


def test_right_in_short():
    assert right(Protocol(7.5)) == "within 7.5 m"
    assert right(Protocol(25, heading=40.0)) == "within 25 m and 40°"
    assert right(Protocol(None, frames=1)) == "at most 1 frames off"
    assert right(Protocol(None)) == "listed by the benchmark"


def test_the_protocol_of_every_benchmark_is_its_facts():
    for name in names():
        known = benchmark(name)
        if known.kind != "recall":
            continue
        protocol = protocol_of(known)
        assert (protocol.radius, protocol.heading) == (known.radius, known.heading_tolerance)
        assert (protocol.unmatched == "keep") == known.keep_without_positive
        assert (protocol.best_per_panorama, protocol.other_dates) == (known.best_per_panorama, known.other_dates)
        assert protocol.ns == tuple(known.ns)


def test_groups():
    import numpy as np

    class Taken:
        condition = np.array(["day", "sunset", "night", "day"], object)

    found = groups_of(benchmark("tokyo247"), Taken)
    assert {name: of_it.astype(int).tolist() for name, of_it in found.items()} == {
        "day": [1, 0, 0, 1],
        "sunset": [0, 1, 0, 0],
        "night": [0, 0, 1, 0],
        "sunset/night": [0, 1, 1, 0],
    }
    Taken.condition = np.array(["night"] * 3, object)
    assert groups_of(benchmark("campus-day-night"), Taken) == {}  # all queries are no group of their own
    Taken.condition = None
    assert groups_of(benchmark("tokyo247"), Taken) == {}
