from __future__ import annotations

import json
from io import StringIO

AREA = ("--bbox", "2.3,48.8,2.4,48.9")


def test_fetch_tells_and_fetches(netvlad, panoramax, tmp_path):
    for i in range(3):
        panoramax.add(f"p{i}", 48.81 + i / 1000)
    ran = netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a", "--dry-run")
    assert ran.code == 0
    assert "etalab-2.0: 3 pictures" in ran.err
    assert not (tmp_path / "a").exists()
    ran = netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a", "--yes")
    assert ran.code == 0
    assert len(list((tmp_path / "a" / "pictures").iterdir())) == 3


def test_fetch_refuses_an_empty_area_and_other_sources(netvlad, panoramax, tmp_path):
    assert netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a").code == 1
    assert netvlad("map", "fetch", *AREA, "--from", "google", "--out", tmp_path / "a").code == 1
    assert netvlad("map", "fetch", "--out", tmp_path / "a").code == 1
    assert not (tmp_path / "a").exists()


def test_areas_are_drawn_as_well(netvlad, panoramax, tmp_path):
    for i in range(3):
        panoramax.add(f"p{i}", 48.81 + i / 100)
    (tmp_path / "a.gpx").write_text(
        '<gpx><rte><rtept lat="48.8" lon="2.35"/><rtept lat="48.825" lon="2.35"/></rte></gpx>'
    )
    triangle = [[2.3, 48.825], [2.4, 48.825], [2.35, 48.9], [2.3, 48.825]]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [triangle]}))
    start = ("map", "fetch", "--url", panoramax.url, "--yes", "--out")
    assert netvlad(*start, tmp_path / "a", "--route", tmp_path / "a.gpx", "--width", 10).code == 0
    assert {f.stem for f in (tmp_path / "a" / "pictures").iterdir()} == {"panoramax-p0", "panoramax-p1"}
    assert netvlad(*start, tmp_path / "b", "--place-file", tmp_path / "a.geojson").code == 0
    assert {f.stem for f in (tmp_path / "b" / "pictures").iterdir()} == {"panoramax-p2"}
    assert netvlad(*start, tmp_path / "c", "--place-file", tmp_path / "a.geojson", *AREA).code == 1


def test_build_and_update_make_a_map_that_is_asked(netvlad, panoramax, tmp_path, monkeypatch):
    for i in range(2):
        panoramax.add(f"p{i}", 48.81 + i / 1000, fov=70)
    town, model = tmp_path / "town.vpr", ("--model", "test_resnet-max", "--workers", 0)
    build = ("map", "build", *AREA, "--url", panoramax.url, "--out", town, *model)
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    assert netvlad(*build).code == 130
    assert not town.exists()
    ran = netvlad(*build, "--yes")
    assert ran.code == 0, ran.err
    panoramax.withdraw("p0")
    panoramax.add("p2", 48.83, fov=70, license="CC-BY-SA-4.0")
    assert "2 pictures" in netvlad("map", "update", town, "--dry-run").err
    assert netvlad("map", "update", town, "--workers", 0, "--yes").code == 0
    pictures = tmp_path / "town-pictures" / "pictures"
    ran = netvlad("locate", pictures / "panoramax-p2.jpg", "--index", town, "--top", 1)
    assert "by Ada, CC-BY-SA-4.0" in ran.out
    told = json.loads(netvlad("info", town).out)["imagery"]
    assert (told["source"], told["area"], told["pictures"]) == ("panoramax", AREA[1], 2)
    assert (told["licences"], told["photos_by_year"]) == ({"CC-BY-SA-4.0": 1, "etalab-2.0": 1}, {"2023": 2})
    assert "panoramax-p0" not in (town / "credits.csv").read_text()
    assert netvlad("map", "update", pictures).code == 1
