from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from netvlad.maps.index import PlaceIndex

MODEL = ["--model", "test_resnet-max"]


@pytest.fixture
def visits(tmp_path):
    """A folder of 11 photos by day and 11 by night of one street; one of the night cannot be read."""
    folder = tmp_path / "visits"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["path,lat,lon,time"]
    for i in range(11):
        look = rng.integers(0, 256, (6, 8, 3))
        for hour, light in (("11", 1.0), ("20", 0.7)):
            pixels = np.clip(light * look + rng.integers(-20, 20, look.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{hour}_{i:02d}.jpg")
            rows.append(f"{hour}_{i:02d}.jpg,{31.26 + 2e-4 * i:.4f},34.8,2025-12-22T{hour}:{i:02d}:00")
    (folder / "20_04.jpg").write_text("x")
    (folder / "places.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_demo_reports_and_goes_on_from_its_index(netvlad, visits, tmp_path):
    out = tmp_path / "demo"
    ran = netvlad("demo", visits, "--out", out, *MODEL, "--workers", "0")
    assert ran.code == 0
    said = ran.err.splitlines()
    assert said[0] == "11 photos of 1 session by day are the database, 11 photos of 1 session by night are the queries"
    assert said[1:3] == [
        "1 photo could not be read:",
        f"  {visits / '20_04.jpg'}: is not an image in a format Pillow can read",
    ]
    (index,) = out.glob("test_resnet-max-*.vpr")
    assert said[3:] == [
        f"wrote {out / 'report' / 'index.html'}: the map, and each query beside its matches",
        f"ask it more: netvlad locate PHOTO --index {index}",
    ]
    assert {f.name for f in (out / "report").iterdir()} == {"index.html", "recall.png", "results.json"}
    facts = json.loads((out / "report" / "results.json").read_text("utf-8"))
    assert facts["counts"] == {
        "database": 11,
        "queries": 11,
        "judged": 10,
        "matched": 11,
        "without_match": 0,
        "unreadable": 1,
    }
    assert facts["protocol"]["radius"] == 10.0  # a map of 222 m
    assert facts["methods"][0]["recall"]["10"] >= 0.5
    assert list(facts["methods"][0]["stages"]) == ["index database", "describe and search queries"]
    assert "10 of 11 queries judged against 11 photos, radius 10 m" in ran.out

    again = netvlad("demo", visits, "--out", out, *MODEL, "--workers", "0")
    assert again.code == 0
    second = json.loads((out / "report" / "results.json").read_text("utf-8"))
    assert list(second["methods"][0]["stages"]) == ["describe and search queries"]
    assert second["methods"][0]["recall"] == facts["methods"][0]["recall"]
    assert list(out.glob("*.vpr")) == [index]
    located = netvlad("locate", visits / "20_01.jpg", "--index", index, "--json")
    assert json.loads(located.out)[0]["radius"] == 10.0


def test_demo_of_other_photos_has_an_index_of_its_own(netvlad, visits, tmp_path):
    out = tmp_path / "demo"
    assert netvlad("demo", visits, "--out", out, *MODEL, "--workers", "0").code == 0
    assert netvlad("demo", visits, "--out", out, *MODEL, "--workers", "0", "--radius", "30").code == 0
    table = visits / "places.csv"
    table.write_text("\n".join(line for line in table.read_text().splitlines() if "11_00" not in line) + "\n")
    assert netvlad("demo", visits, "--out", out, *MODEL, "--workers", "0").code == 0
    assert len(list(out.glob("*.vpr"))) == 3


def test_demo_of_what_cannot_be_split(refused, town, tmp_path):
    (tmp_path / "t.csv").write_text(f"path,lat,lon\n{town / '0.jpg'},31,34\n")
    assert "1 photo cannot be split" in refused("demo", tmp_path / "t.csv", "--out", tmp_path / "demo")
    assert "does not exist" in refused("demo", tmp_path / "none", "--out", tmp_path / "demo")


@pytest.fixture
def tiny_town(monkeypatch):
    """The demo's town, but small enough to be built here."""
    from netvlad.town import capture_plan

    tiny = capture_plan.Size((0, 0, 1), (1, 1), 24.0, (1, 1, 1), 128, 3, 2, (64, 48))
    monkeypatch.setitem(capture_plan.SIZES, "small", tiny)


def test_demo_without_photos_draws_a_town_once(netvlad, tiny_town, tmp_path):
    out = tmp_path / "demo"
    ran = netvlad("demo", "--out", out, *MODEL, "--workers", "0")
    assert ran.code == 0
    assert f"a small town is drawn into {out / 'town'}" in ran.err
    assert (out / "town" / "sheet.jpg").exists()
    facts = json.loads((out / "report" / "results.json").read_text("utf-8"))
    assert facts["counts"]["queries"] == 6
    assert facts["protocol"]["radius"] == 25.0
    assert "by the split column" in facts["config"]["hold_out"]
    made = {path: path.stat().st_mtime_ns for path in (out / "town").rglob("*.jpg")}
    again = netvlad("demo", "--out", out, *MODEL, "--workers", "0")
    assert again.code == 0
    assert "is drawn" not in again.err
    assert made == {path: path.stat().st_mtime_ns for path in (out / "town").rglob("*.jpg")}


def test_demo_compares_three_methods_without_a_network_or_weights_beside_it(visits, tmp_path):
    """In a process of its own, with an empty home, where every look-up of a host fails."""
    out = tmp_path / "demo"
    offline = "import socket; socket.getaddrinfo = lambda *a, **k: (_ for _ in ()).throw(OSError('no network')); "
    run = "import sys; from netvlad.cli.main import main; main()"
    words = ["demo", str(visits), "--out", str(out), "--workers", "0"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NETVLAD", "HF_", "TORCH", "XDG"))}
    ended = subprocess.run(
        [sys.executable, "-c", offline + run, *words],
        env={**kept, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    facts = json.loads((out / "report" / "results.json").read_text("utf-8"))
    names = [method["name"] for method in facts["methods"]]
    assert names == ["tf_efficientnet_lite0-max", "tf_efficientnet_lite0-netvlad", "default"]
    assert facts["methods"][2]["recall"]["10"] >= 0.5
    assert PlaceIndex.open(next(out.glob("default-*.vpr"))).dim == 512
