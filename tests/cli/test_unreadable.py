"""Every photo that could not be read can be seen, and no name steers the terminal."""

from __future__ import annotations

import csv
import json
import os

import pytest

from netvlad.cli.common import printable


def test_all_unreadable_photos_are_written_to_a_file(netvlad, town, tmp_path):
    table = tmp_path / "t.csv"
    rows = [f"{town / '0.jpg'},31.26,34.8"]
    for i in range(30):
        (tmp_path / f"bad{i}.jpg").write_bytes(b"none")
        rows.append(f"bad{i}.jpg,31.26,34.8")
    rows.append("far.jpg,100,34.8")
    table.write_text("\n".join(["path,lat,lon", *rows]))
    ran = netvlad(
        "index", table, "--out", tmp_path / "a.vpr", "--model", "test_resnet-max", "--unreadable", tmp_path / "u"
    )
    assert ran.code == 0
    assert "--unreadable FILE" in ran.err
    with open(tmp_path / "u", newline="") as file:
        found = list(csv.reader(file))
    assert found[0] == ["path", "reason"]
    assert len(found) == 32  # 30 photos and the row of the table that has no place
    assert {os.path.basename(path) for path, _ in found} >= {f"bad{i}.jpg" for i in range(30)}
    assert all(reason for _, reason in found)


def test_locate_names_a_folder_that_is_closed(netvlad, town, index, tmp_path, monkeypatch):
    closed = tmp_path / "photos" / "closed"
    closed.mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").write_bytes((town / "0.jpg").read_bytes())
    scan = os.scandir

    def refuse(path="."):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    ran = netvlad("locate", tmp_path / "photos", "--index", index, "--unreadable", tmp_path / "u.csv")
    assert ran.code == 1
    assert f"{closed}: the folder cannot be read (Permission denied)" in ran.err
    assert str(closed) in (tmp_path / "u.csv").read_text()
    assert "within" in ran.out
    told = json.loads(netvlad("locate", tmp_path / "photos", "--index", index, "--json").out)
    assert [answer["photo"] for answer in told] == [str(tmp_path / "photos" / "a.jpg"), str(closed)]
    assert "cannot be read" in told[1]["error"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 写真", "plain ünïcode 写真"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb", "a\nb"),
        ("\u202egpj", "\\u202egpj"),
        ("\udcff.jpg", "\\udcff.jpg"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
