from __future__ import annotations

import os

import pytest

from netvlad.benchmarks.layout import is_number, one_of, present, read_rows, read_text, under
from netvlad.errors import PlacesError


def test_present(tmp_path, touch):
    touch(tmp_path, "a/1.jpg", "b.jpg")
    paths = [str(tmp_path / name) for name in ("a/1.jpg", "a/2.jpg", "b.jpg", "none/1.jpg", "b.jpg/1.jpg")]
    assert present(paths).tolist() == [True, False, True, False, False]
    assert present([]).tolist() == []


def test_one_of(tmp_path, touch):
    touch(tmp_path, "y/f", "z")
    assert one_of(tmp_path, "x", "y/f", "z") == tmp_path / "y" / "f"
    with pytest.raises(PlacesError, match=r"holds neither p nor q$"):
        one_of(tmp_path, "p", "q")
    with pytest.raises(PlacesError, match=r"holds no p$"):
        one_of(tmp_path, "p")


def test_under_takes_the_folder_that_holds_most(tmp_path, touch):
    touch(tmp_path, "images/1.jpg", "2.jpg", "3.jpg")
    found = under(tmp_path, ("images", "."), ["1.jpg", "2.jpg", "3.jpg"], "database")
    assert found == [str(tmp_path / name) for name in ("1.jpg", "2.jpg", "3.jpg")]  # the first is told as absent later


def test_under_with_another_suffix(tmp_path, touch):
    touch(tmp_path, "images/1.png", "images/2.png", "images/2.jpg")
    found = under(tmp_path, ("images",), ["1.jpg", "2.jpg"], "database", suffix=".png")
    assert found == [str(tmp_path / "images" / name) for name in ("1.png", "2.png")]


def test_under_nothing(tmp_path):
    with pytest.raises(PlacesError) as error:
        under(tmp_path, ("images", "."), ["1.jpg", "2.jpg"], "query", suffix=".png")
    assert str(error.value) == (
        f"none of the 2 query photos is there: 1.jpg (or .png) was looked for in {tmp_path / 'images'} or {tmp_path}"
    )
    assert under(tmp_path, ("images",), [], "query") == []


def test_rows_of_a_table(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("\ufeffkey,lat\na,1\nb,\n", encoding="utf-8")
    assert read_rows(table, ("key", "lat")) == [{"key": "a", "lat": "1"}, {"key": "b", "lat": ""}]
    with pytest.raises(PlacesError, match=r"t\.csv: has no columns lon, ca$"):
        read_rows(table, ("key", "lon", "ca"))
    table.write_text("key,lat\n")
    with pytest.raises(PlacesError, match=r"t\.csv: holds no rows$"):
        read_rows(table, ("key",))


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n", b"a,c\n1,2\n", b"a,b\n1,2\n3\n", b"a,b\n\xff,1\n", b"a,b\n1,2\n" + b"x" * 200_000, b"\0" * 99],
)
def test_rows_of_the_wrong_shape(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(PlacesError, match=r"t\.csv"):
        read_rows(tmp_path / "t.csv", ("a", "b"))


def test_lists_are_files_of_text(tmp_path):
    (tmp_path / "list.txt").write_bytes("ä b".encode("latin-1"))
    for path in (tmp_path / "list.txt", tmp_path, tmp_path / "none.txt", tmp_path / os.devnull):
        with pytest.raises(PlacesError):
            read_text(path)


def test_numbers_are_digits_that_int_takes():
    assert [is_number(text) for text in ("0012", "\u00b2", "", "-1", "9" * 300)] == [True, False, False, False, False]
