from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.maps.asked import parse_where
from netvlad.maps.where import ALL, Where


def test_what_is_written_becomes_conditions():
    assert parse_where(None, None, None, None) == ALL
    assert parse_where("31.5, -34,2km", None, None, None) == Where(near=(31.5, -34.0, 2000.0))
    assert parse_where("31.5,34,.5 km", None, None, None) == Where(near=(31.5, 34.0, 500.0))
    assert parse_where("0,0,75.5m", "1,2,3,4", "2019", "2022-06") == Where(
        near=(0, 0, 75.5), bbox=(1, 2, 3, 4), after=np.datetime64("2019-01-01T00:00:00"), before="2022-06-01"
    )


@pytest.mark.parametrize(
    "given",
    [
        ("31.5,34", None),
        ("31.5,34,2", None),
        ("31.5,34,2 miles", None),
        ("31.5,34,-2km", None),
        ("31.5,34,5,2km", None),
        ("a,34,2km", None),
        ("nan,34,2km", None),
        ("", None),
        (None, "1,2,3"),
        (None, "1,2,3,4,5"),
        (None, "1,2,x,4"),
        (None, ""),
    ],
)
def test_what_cannot_be_read_is_refused(given):
    with pytest.raises(NetvladError, match="near" if given[1] is None else "bbox"):
        parse_where(*given, None, None)
