from __future__ import annotations

import json
import re

import pytest


def test_the_best_match_is_explained(netvlad, town, index, tmp_path):
    out = tmp_path / "why.html"
    ran = netvlad("explain", town / "3.jpg", "--index", index, "--out", out)
    assert ran.code == 0
    assert "similarity 1.000" in ran.out
    data = json.loads(re.search(r'id="data">(.*?)</script>', out.read_text("utf-8"), re.S)[1])
    assert data["explanation"]["exact"]
    assert data["explanation"]["similarity"] == pytest.approx(1, abs=1e-5)
    assert data["explanation"]["query_map"] == data["explanation"]["match_map"]
    assert data["photos"]["match"]["lines"] == ["3.jpg"]


def test_what_is_no_photo_is_refused(netvlad, town, index, tmp_path):
    ran = netvlad("explain", town / "places.csv", "--index", index, "--out", tmp_path / "why.html")
    assert ran.code == 1
    assert "places.csv" in ran.err
    assert not (tmp_path / "why.html").exists()


def test_an_out_that_cannot_be_written_is_refused_first(netvlad, town, index):
    ran = netvlad("explain", town / "3.jpg", "--index", index, "--out", town)
    assert ran.code == 1
    assert "is a folder" in ran.err
