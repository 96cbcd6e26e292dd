from __future__ import annotations

from netvlad.benchmarks.published import PublishedResult
from netvlad.report.published import compared


def test_how_far_a_result_is_off():
    row = PublishedResult("any", "X", None, {"all": (70.0, 80.0), "night": (60.0,), "rain": (1.0,)})
    found = compared(row, {"all": [0.713, 0.8, 0.9], "night": [0.55, 0.6, 0.7]})["published"]
    assert found["row"] == "X"
    assert found["off"] == {"all": [1.3, 0.0], "night": [-5.0]}
    assert found["percent"]["rain"] == [1.0]
    assert compared(None, {"all": [0.5]}) == {}
