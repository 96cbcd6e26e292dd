from __future__ import annotations

from pathlib import Path

from netvlad.export.found.table import found_table


def test_the_credit_of_the_best_match_goes_with_the_answer():
    credit = {"licence": "CC-BY-4.0", "credit": "Ada", "link": "https://example.org/a"}
    answer = {"photo": "/q.jpg", "lat": 48.0, "lon": 2.0}
    answers = [
        {**answer, "matches": [{"path": "/a.jpg", "credit": credit}]},
        {**answer, "matches": [{"path": "/b.jpg"}]},
    ]
    rows = found_table(answers, Path("/")).rows
    assert [row["credit"] for row in rows] == ["Ada, CC-BY-4.0, https://example.org/a", None]
