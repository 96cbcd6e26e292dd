from __future__ import annotations

import pytest

from netvlad.runtime.counted import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (-1, "-1 photos"), (1000, "1000 photos")]
)
def test_one_is_not_many(number, words):
    assert counted(number, "photo") == words


def test_a_noun_with_a_plural_of_its_own():
    assert [counted(n, "query", "queries") for n in (1, 2)] == ["1 query", "2 queries"]
