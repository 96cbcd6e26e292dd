from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from netvlad.errors import ImageError, NetvladError


def test_a_path_stands_before_the_reason():
    error = ImageError("is cut off", path=Path("a/b.jpg"))
    assert str(error) == f"{Path('a/b.jpg')}: is cut off"
    assert (error.path, error.reason) == (str(Path("a/b.jpg")), "is cut off")


def test_without_a_path_the_reason_is_all():
    error = NetvladError("no photos")
    assert (str(error), error.path, error.reason) == ("no photos", None, "no photos")


@pytest.mark.parametrize("path", [None, "a.jpg"])
def test_errors_come_back_whole_from_other_processes(path):
    error = ImageError("is cut off", path=path)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ImageError
    assert (str(again), again.path, again.reason) == (str(error), error.path, error.reason)


@pytest.mark.parametrize("n", [2000, 2001, 9_000_000])
def test_a_long_reason_is_cut_in_the_middle(n):
    reason = "begin" + "x" * (n - 8) + "end"
    error = NetvladError(reason, path="a.csv")
    assert len(error.reason) <= 2000
    assert error.reason.startswith("beginx")
    assert error.reason.endswith("xend")
    assert (error.reason == reason) == (n == 2000)
    assert str(error) == f"a.csv: {error.reason}"
