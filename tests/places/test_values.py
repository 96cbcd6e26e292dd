from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvlad.places.values import floats, headings, moment, texts, times

NINE = datetime(2025, 12, 22, 9, 52, 57)


@pytest.mark.parametrize(
    ("text", "when", "utc"),
    [
        ("2025-12-22T09:52:57", NINE, False),
        ("2025-12-22 09:52:57.123456", NINE, False),
        ("2025:12:22 09:52:57", NINE, False),
        ("2025/12/22 9:52:57", NINE, False),
        ("20251222T095257", NINE, False),
        ("20251222_095257", NINE, False),
        ("20251222095257", NINE, False),
        ("2025-12-22T09:52:57Z", NINE, True),
        ("2025-12-22 09:52:57 UTC", NINE, True),
        ("2025-12-22T11:52:57+02:00", NINE, True),
        ("2025-12-22T11:52:57+02", NINE, True),
        ("2025-12-22T06:22:57-0330", NINE, True),
        ("2025-12-22T09:52", NINE.replace(second=0), False),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59), True),
        ("2025-12-22", datetime(2025, 12, 22, 12), False),
        ("20251222", datetime(2025, 12, 22, 12), False),
        ("201311", datetime(2013, 11, 1, 12), False),
        ("1766397177", NINE, True),
        ("1766397177.9", NINE, True),
        ("1766397177123", NINE, True),
        ("946684800000", datetime(2000, 1, 1), True),
    ],
)
def test_times_as_people_write_them(text, when, utc):
    assert moment(text) == (when, utc)


@pytest.mark.parametrize("text", ["yesterday", "2025-02-31", "2025-12-22T25:00:00", "22.12.2025", "2015", "17", "inf"])
def test_no_times(text):
    assert moment(text) is None


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "", "\0\0"])
def test_blank_times_are_unknown_and_not_wrong(text):
    assert moment(text) == (None, False)


@given(st.datetimes(datetime(1973, 4, 1), datetime(2200, 1, 1)))
def test_every_iso_time_is_read(when):
    whole = when.replace(microsecond=0)
    assert moment(when.isoformat()) == (whole, False)
    assert moment(str(int((whole - datetime(1970, 1, 1)).total_seconds()))) == (whole, True)


def test_a_column_of_times():
    out, utc, bad = times(["2025-12-22", None, "nonsense", float("nan"), "2025-12-22T09:52:57Z"])
    assert out.astype(str).tolist() == ["2025-12-22T12:00:00", "NaT", "NaT", "NaT", "2025-12-22T09:52:57"]
    assert utc.tolist() == [False, False, False, False, True]
    assert list(bad) == [2]
    assert "nonsense" in bad[2]


def test_floats():
    out, bad = floats(["1.5", "", " 2 ", None, "x", 3, "NaN", "1e2"], what="lat")
    np.testing.assert_array_equal(out, [1.5, np.nan, 2, np.nan, np.nan, 3, np.nan, 100])
    assert bad == {4: "lat 'x' is not a number"}
    assert floats(["31,26"])[1] == {0: "value '31,26' is not a number"}
    assert floats(["31,26", "1.5"], decimal_comma=True)[0].tolist() == [31.26, 1.5]


def test_headings_beyond_a_turn_are_noted():
    out, bad = headings([10, 361, "north", "", -10])
    np.testing.assert_array_equal(out, np.float32([10, np.nan, np.nan, np.nan, 350]))
    assert sorted(bad) == [1, 2]


def test_texts():
    assert texts(["a", None, 7, 7.0, 7.5, float("nan"), "nan"]).tolist() == [
        "a",
        "",
        "7",
        "7",
        "7.5",
        "",
        "nan",
    ]
