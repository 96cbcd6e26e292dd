from __future__ import annotations

import pytest

from netvlad.cli import common
from netvlad.errors import NetvladError

FACTS = {
    "methods": [
        {
            "name": "a-model-of-a-name-that-is-longer-than-half-a-terminal-is-wide",
            "dim": 4096,
            "recall": {"1": 0.5, "5": 0.625, "10": None},
            "stages": {"describe queries": {"seconds": 2.0, "ms_per_photo": 250.0}, "search": {"seconds": 0.04}},
        },
        {"name": "b", "dim": None, "recall": {"1": 1.0}, "stages": {}},
    ],
    "counts": {"database": 20, "queries": 9, "judged": 8, "without_match": 1, "unreadable": 3},
    "protocol": {"radius": 25.0, "unmatched": "drop"},
}


def test_a_table_in_a_pipe_is_not_cut_at_80_columns(capsys):
    common.recall_table(FACTS)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if "a-model" in line)
    assert len(row) > 80
    assert " ".join(row.split()) == (
        "a-model-of-a-name-that-is-longer-than-half-a-terminal-is-wide 4096 50.0 62.5 - "
        "describe queries 2.0 s (250.0 ms a photo), search 0.0 s"
    )
    assert next(line for line in out.splitlines() if line.startswith("  b ")).split() == ["b", "-", "100.0", "-", "-"]
    assert out.splitlines()[-1] == (
        "8 of 9 queries judged against 20 photos, radius 25 m; 1 without a true match are left out of the denominator; "
        "3 photos unreadable"
    )


def test_the_last_line_says_what_became_of_the_unmatched(capsys):
    common.recall_table({**FACTS, "protocol": {"radius": 7.5, "unmatched": "keep"}})
    assert "radius 7.5 m; 1 without a true match are kept in the denominator" in capsys.readouterr().out


def test_numbers_are_aligned_to_the_right(capsys):
    common.table(["name", "n"], [["x", "1"], ["longer", "-100.5"], ["y", "-"]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].endswith(" n")
    assert [line.split() for line in lines[2:]] == [["x", "1"], ["longer", "-100.5"], ["y", "-"]]
    assert len({len(line) for line in lines[2:]}) == 1


def test_brackets_are_no_markup(capsys):
    common.table(["path"], [["[red]photos[/red]"]])
    assert "[red]photos[/red]" in capsys.readouterr().out


def test_long_lists_are_cut_and_counted(capsys):
    common.tell("3 things", ["a", "b", "c"], most=2)
    common.tell("nothing", [])
    common.tell_unreadable({f"{i}.jpg": "is empty" for i in range(25)})
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[:5] == ["3 things:", "  a", "  b", "  ... and 1 more", "25 photos could not be read:"]
    assert lines[5:] == [
        *(f"  {i}.jpg: is empty" for i in range(20)),
        "  ... and 5 more; --unreadable FILE writes them all",
    ]


def test_a_name_with_line_breaks_is_one_line(capsys):
    common.tell_unreadable({"a\nnetvlad: all is well\n.jpg": "is empty"})
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_rows_left_out_are_told_of(tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("path,lat,lon,heading\na.jpg,31.2,34.8,\nb.jpg,,,\nc.jpg,31.2,34.8,1000\n")
    assert len(common.read_places(table, strict=False)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{table}: 1 row was left out:"
    assert lines[1].startswith(f"  {table}, line 3: ")
    assert lines[2] == f"{table}: 1 row lacks a heading or time that can be read:"
    assert lines[3].startswith(f"  {table}, line 4: ")
    with pytest.raises(NetvladError):
        common.read_places(table, strict=True)


def test_a_device_that_is_not_here_is_refused_before_anything_is_read(refused, tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("NETVLAD_DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "here is cpu" in refused("index", tmp_path / "nowhere", "--out", tmp_path / "a.vpr", "--device", "cuda:1")
