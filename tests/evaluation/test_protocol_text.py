from __future__ import annotations

import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.protocol import Protocol
from netvlad.evaluation.protocol_text import right, rules, runs


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
    said = rules(benchmark("tokyo247").protocol)
    assert said == {
        "Benchmark": "tokyo247.",
        "A match is right": "within 25 m of the query's true position.",
        "Cut-outs of one panorama": "only the best of them counts among the N best matches.",
        "Queries without any true match": "stay in the denominator.",
        "N": "1, 2 .. 5, 10, 15 .. 100.",
        "Queries are described": "one by one, as is.",
    }
    said = rules(benchmark("msls-val-40deg").protocol)
    assert said["A match is right"].endswith("its heading at most 40 degrees off.")
    assert said["Queries without any true match"] == "are left out of the denominator."
    said = rules(benchmark("nordland-summer-winter").protocol)
    assert said["A match is right"] == "when the benchmark lists it, at most 10 frames off."
    assert "query's own date" in "".join(rules(benchmark("tokyo-tm-val").protocol))
    assert "Benchmark" not in rules(Protocol())


def test_right_in_short():
    assert right(Protocol(7.5)) == "within 7.5 m"
    assert right(Protocol(25, heading=40.0)) == "within 25 m and 40°"
    assert right(Protocol(None, frames=1)) == "at most 1 frames off"
    assert right(Protocol(None)) == "listed by the benchmark"
